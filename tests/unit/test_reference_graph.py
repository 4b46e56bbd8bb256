"""Every operator against ONNX's reference evaluator: values, and the types that inference says.

Each case runs in NumPy through our meaning and through onnx.reference; then its types are inferred
twice, from the extents and from a name for every extent, and both must agree with the arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from nnc.core.symbolic import Dim, substitute, symbol
from nnc.dialects.graph.base import ConstantOp, GraphOp
from nnc.dialects.graph.registry import by_onnx_name, operators
from nnc.dialects.graph.types import MaybeDim, info, tensor_type
from nnc.frontends.onnx import import_model
from nnc.reference.graph.run import run_module

Array = np.ndarray[Any, Any]

SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (5,), (2, 3), (2, 1, 4), (3, 0, 2))
PAIRS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((), ()),
    ((3,), ()),
    ((2, 3), (3,)),
    ((2, 1, 4), (3, 1)),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
)
IMAGES: tuple[tuple[int, ...], ...] = ((1, 4, 7, 5), (2, 2, 6, 6), (2, 4, 9), (1, 2, 5, 4, 6))


@dataclass(frozen=True)
class Case:
    """One node: inputs (`None` if absent), which of them are constants, attributes."""

    op: str
    inputs: Sequence[Array | None]
    constant: tuple[int, ...] = ()
    outputs: int = 1
    rtol: float = 1e-5
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        shapes = [
            None if item is None else f"{item.dtype}{list(item.shape)}" for item in self.inputs
        ]
        return f"{self.op}-{shapes}-{self.attributes}"


def values(shape: tuple[int, ...], seed: int = 0, dtype: str = "float32") -> Array:
    """Numbers of both signs, some of them equal."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith(("int", "uint")):
        low = 0 if dtype.startswith("u") else -9
        return rng.integers(low, 9, shape).astype(dtype)
    return (rng.integers(-40, 40, shape) / 16).astype(dtype)


def whole(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


UNARY = [
    *("Abs", "Asinh", "Atan", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor", "HardSwish"),
    *("Identity", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin"),
    *("Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "Celu", "Elu", "HardSigmoid"),
    *("LeakyRelu", "Selu", "Shrink", "ThresholdedRelu", "Gelu", "IsNaN", "IsInf", "Swish"),
]
COMPARISONS = ("Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal")


def unary_cases() -> Iterator[Case]:
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30], np.float32)
    for name in UNARY:
        for shape in SHAPES:
            if shape or name != "Softsign":  # ONNX's own fails on a scalar
                yield Case(name, [values(shape)])
        if name not in ("Mish", "Shrink", "Swish", "Gelu", "HardSwish"):  # inf - inf, 0 * inf
            yield Case(name, [special])
    for name in ("Acos", "Asin", "Atanh"):
        yield Case(name, [values((2, 3)) / 4])
    yield Case("Acosh", [np.abs(values((2, 3))) + 1])
    yield Case("Log", [np.abs(values((2, 3)))])
    for name, dtype in (("Abs", "int8"), ("Neg", "int32"), ("Sign", "int64"), ("Relu", "int16")):
        yield Case(name, [values((7,), dtype=dtype)])
    yield Case("BitwiseNot", [values((7,), dtype="uint8")])
    yield Case("Not", [values((7,), dtype="bool")])
    yield Case("IsInf", [special], attributes={"detect_negative": 0})
    yield Case("Gelu", [values((9,))], attributes={"approximate": "tanh"})
    yield Case("LeakyRelu", [values((9,), dtype="float64")], attributes={"alpha": 0.3})


def binary_cases() -> Iterator[Case]:
    for a, b in PAIRS:
        for name in ("Add", "Sub", "Mul", "Div", "PRelu", *COMPARISONS):
            if name != "PRelu" or np.broadcast_shapes(a, b) == a:
                yield Case(name, [values(a, 1), values(b, 2)])
        for name in ("And", "Or", "Xor"):
            yield Case(name, [values(a, 1, "bool"), values(b, 2, "bool")])
        for name in ("Max", "Min", "Sum"):
            yield Case(name, [values(a, 1), values(b, 2), values(a, 3)])
        yield Case("Where", [values(b, 1, "bool"), values(a, 2), values(b, 3)])
    for dtype in ("int8", "uint8", "int32", "int64", "uint64"):
        divisor = values((9,), 2, dtype)
        divisor[divisor == 0] = 3
        for name in ("Add", "Sub", "Mul", "Div", "Mod"):
            yield Case(name, [values((9,), 1, dtype), divisor])
        yield Case("Mod", [values((9,), 1, dtype), divisor], attributes={"fmod": 1})
        yield Case("Equal", [values((9,), 1, dtype), divisor])
        for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
            yield Case(name, [values((9,), 1, dtype), divisor])
    yield Case("Mod", [values((9,)), np.full(9, -1.5, np.float32)], attributes={"fmod": 1})
    for direction in ("LEFT", "RIGHT"):
        shifted = [values((9,), dtype="uint16"), values((9,), 1, "uint16")]
        yield Case("BitShift", shifted, attributes={"direction": direction})
    yield Case("Pow", [np.abs(values((2, 3))), values((3,), 1)])
    yield Case("Pow", [values((6,), dtype="int32"), np.abs(values((6,), 1, "int64")) % 5])
    yield Case("Mean", [values((2, 3), 1), values((3,), 2), values((), 3)])
    nan = np.array([np.nan, 1, np.nan], np.float32)
    yield Case("Max", [nan, nan[::-1].copy()])
    yield Case("Min", [nan, np.zeros(3, np.float32)])


def cast_cases() -> Iterator[Case]:
    for dtype in ("int8", "int64", "uint8", "bool", "float16", "float64", "int32"):
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        yield Case("Cast", [np.abs(values((2, 3)))], attributes={"to": to})
        yield Case("CastLike", [np.abs(values((4,))), np.zeros((), dtype)])
    low, high = np.array(-1, np.float32), np.array(1, np.float32)
    for bounds in ([low, high], [None, high], [low], [high, low]):
        yield Case("Clip", [values((3, 4)), *bounds])
    yield Case("Clip", [values((4,), dtype="int32"), np.array(-2, np.int32)])


REDUCTIONS = ["L1", "L2", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare", "LogSumExp"]


def reduce_cases() -> Iterator[Case]:
    data = values((2, 3, 4))
    for name in REDUCTIONS:
        for axes in (None, whole(), whole(1), whole(0, -1), whole(0, 1, 2)):
            constant = () if axes is None else (1,)
            yield Case(f"Reduce{name}", [data, axes], constant)
            yield Case(f"Reduce{name}", [data, axes], constant, attributes={"keepdims": 0})
        noop = {"noop_with_empty_axes": 1}
        if name in ("Max", "Mean", "Min", "Prod", "Sum"):
            yield Case(f"Reduce{name}", [data], attributes=noop)
        if name != "LogSumExp":  # ONNX's own fails on a scalar
            yield Case(f"Reduce{name}", [values(())], attributes={"keepdims": 0})
        if name != "Mean":
            yield Case(f"Reduce{name}", [values((2, 0, 3)), whole(1)], (1,))
        yield Case(f"Reduce{name}", [values((2, 0, 3)), whole(0)], (1,))
    yield Case("ReduceLogSum", [np.abs(data), whole(1)], (1,))
    yield Case("ReduceMax", [values((3, 2), dtype="int8"), whole(0)], (1,))
    yield Case("ReduceMax", [values((3, 2), dtype="bool"), whole(0)], (1,))
    for name in ("ArgMax", "ArgMin"):
        for last in (0, 1):
            for keep in (0, 1):
                flags = {"axis": -2, "keepdims": keep, "select_last_index": last}
                yield Case(name, [values((3, 5, 2))], attributes=flags)
    for flags in ({}, {"reverse": 1}, {"exclusive": 1}, {"reverse": 1, "exclusive": 1}):
        yield Case("CumSum", [data, np.array(-2, np.int64)], (1,), attributes=flags)


def linear_cases() -> Iterator[Case]:
    pairs = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((0, 3), (3, 2))]
    for a, b in [*pairs, ((5, 1, 2, 3), (4, 3, 2)), ((2, 0), (0, 3)), ((2, 2, 3), (3, 1))]:
        yield Case("MatMul", [values(a, 1), values(b, 2)])
    yield Case("MatMul", [values((2, 3), 1, "int32"), values((3, 2), 2, "int32")])
    for left, right in ((0, 0), (1, 0), (0, 1), (1, 1)):
        a, b = values((4, 2) if left else (2, 4), 1), values((3, 4) if right else (4, 3), 2)
        flags = {"transA": left, "transB": right, "alpha": 0.5, "beta": 2.0}
        for c in (None, values((3,), 3), values((2, 1), 3), values((), 3)):
            yield Case("Gemm", [a, b, c], attributes=flags)


def window_flags(rank: int) -> Iterator[dict[str, Any]]:
    yield {}
    yield {"strides": [2] * rank, "pads": [1] * (2 * rank)}
    yield {"dilations": [2] * rank}
    yield {"strides": [2] * rank, "auto_pad": "SAME_UPPER"}
    yield {"strides": [2] * rank, "auto_pad": "VALID"}


def conv_cases() -> Iterator[Case]:
    for shape in IMAGES:
        rank = len(shape) - 2
        for flags in window_flags(rank):
            weights = values((4, shape[1], *(3, 2, 2)[:rank]), 1)
            yield Case("Conv", [values(shape), weights, values((4,), 2)], attributes=flags)
            if "auto_pad" not in flags:
                back = values((shape[1], 3, *(3, 2, 2)[:rank]), 1)
                yield Case("ConvTranspose", [values(shape), back], attributes=flags)
    grouped = values((6, 2, 3, 3), 1)
    yield Case("Conv", [values((2, 4, 6, 6)), grouped], attributes={"group": 2})
    depth = values((4, 1, 3, 3), 1)
    yield Case("Conv", [values((1, 4, 6, 6)), depth], attributes={"group": 4})
    out = {"strides": [2, 2], "output_padding": [1, 1]}
    yield Case("ConvTranspose", [values((1, 2, 4, 4)), values((2, 3, 3, 3), 1)], attributes=out)


def pool_cases() -> Iterator[Case]:
    for shape in IMAGES:
        rank = len(shape) - 2
        for name in ("MaxPool", "AveragePool"):
            for flags in window_flags(rank):
                kernel = {"kernel_shape": [3, 2, 2][:rank]}
                yield Case(name, [values(shape)], attributes={**kernel, **flags})
        yield Case("GlobalAveragePool", [values(shape)])
        if rank == 2:  # ONNX's own keeps a spatial dimension otherwise
            yield Case("GlobalMaxPool", [values(shape)])
    ceil = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
    yield Case("MaxPool", [values((1, 2, 6, 7))], attributes=ceil)
    yield Case("AveragePool", [values((1, 2, 6, 7))], attributes=ceil)
    pads = {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1}
    yield Case("AveragePool", [values((1, 2, 5, 5))], attributes=pads)
    for order in (0, 1):
        flags = {"kernel_shape": [2, 2], "strides": [2, 2], "storage_order": order}
        yield Case("MaxPool", [values((2, 2, 4, 6))], outputs=2, attributes=flags)
    norm = {"kernel_shape": [2, 2], "p": 3}
    yield Case("LpPool", [np.abs(values((1, 2, 5, 5)))], attributes=norm)


def norm_cases() -> Iterator[Case]:
    for shape in IMAGES:
        c = shape[1]
        channel = [np.abs(values((c,), seed)) + 0.1 for seed in range(4)]
        yield Case("BatchNormalization", [values(shape), *channel], rtol=1e-4)
        yield Case("InstanceNormalization", [values(shape), *channel[:2]], rtol=1e-3)
        groups = {"num_groups": 2}
        case = [values(shape), *channel[:2]]
        yield Case("GroupNormalization", case, rtol=1e-3, attributes=groups)
    x = values((2, 3, 4))
    training = [x, *(np.abs(values((3,), seed)) + 0.1 for seed in range(4))]
    flags = {"training_mode": 1}
    yield Case("BatchNormalization", training, outputs=3, rtol=1e-4, attributes=flags)
    for axis in (-1, 1, -3):
        scale = values(x.shape[axis:], 1)
        yield Case(
            "LayerNormalization", [x, scale], outputs=3, rtol=1e-3, attributes={"axis": axis}
        )
        yield Case("LayerNormalization", [x, scale, scale], rtol=1e-3, attributes={"axis": axis})
        yield Case("RMSNormalization", [x, scale], rtol=1e-3, attributes={"axis": axis})
        for name in ("Softmax", "LogSoftmax", "Hardmax"):
            yield Case(name, [x], attributes={"axis": axis})
        yield Case("LpNormalization", [x], attributes={"axis": axis, "p": 2})
    yield Case("Softmax", [values((2, 0, 3))], attributes={"axis": 0})
    for size in (1, 3, 4):
        yield Case("LRN", [values((5, 5, 3, 3))], attributes={"size": size})
    yield Case("MeanVarianceNormalization", [values((2, 3, 4, 4))], rtol=1e-3)


def movement_cases() -> Iterator[Case]:
    x = values((2, 3, 4))
    for shape in ((4, 6), (-1,), (0, -1), (2, 0, -1, 1), (24,), (3, -1, 2)):
        yield Case("Reshape", [x, whole(*shape)], (1,))
    zero = {"allowzero": 1}
    yield Case("Reshape", [values((0, 3)), whole(3, 0)], (1,), attributes=zero)
    for axis in (0, 1, 3, -1):
        yield Case("Flatten", [x], attributes={"axis": axis})
    yield Case("Squeeze", [values((1, 3, 1))])
    yield Case("Squeeze", [values((1, 3, 1)), whole(-1)], (1,))
    yield Case("Unsqueeze", [x, whole(0, -1)], (1,))
    yield Case("Unsqueeze", [values(()), whole(0)], (1,))
    for perm in (None, [1, 0, 2], [2, 0, 1]):
        yield Case("Transpose", [x], attributes={} if perm is None else {"perm": perm})
    for shape in ((2, 3, 4), (5, 1, 1, 4), (1,), (3, 1)):
        yield Case(
            "Expand", [values((3, 1)) if shape == (1,) else values((3, 4)), whole(*shape)], (1,)
        )
    for mode in ("DCR", "CRD"):
        flags = {"blocksize": 2, "mode": mode}
        yield Case("DepthToSpace", [values((2, 8, 2, 3))], attributes=flags)
    yield Case("SpaceToDepth", [values((2, 3, 4, 6))], attributes={"blocksize": 2})


def piece_cases() -> Iterator[Case]:
    x = values((4, 6))
    yield Case("Concat", [x, values((4, 2), 1), values((4, 0), 2)], attributes={"axis": -1})
    bounds = [(0, 3, 1), (1, -1, 2), (-1, -100, -1), (5, 1, -2), (3, 1, 1), (-100, 100, 3)]
    for start, end, step in bounds:
        operands = [x, whole(start), whole(end), whole(1), whole(step)]
        yield Case("Slice", operands, (1, 2, 3, 4))
    yield Case("Slice", [x, whole(1, 2), whole(3, 100)], (1, 2))
    yield Case("Split", [x], outputs=4, attributes={"axis": 1, "num_outputs": 4})
    yield Case("Split", [x, whole(1, 0, 3)], (1,), outputs=3)
    yield Case("Tile", [x, whole(2, 3)], (1,))
    yield Case("Pad", [x, whole(1, 0, 2, 1), np.array(7, np.float32)], (1,))
    for mode in ("reflect", "edge", "wrap"):
        yield Case("Pad", [x, whole(1, 2, 2, 0)], (1,), attributes={"mode": mode})
    yield Case("Pad", [x, whole(2, 1), None, whole(-1)], (1, 3))


def indexing_cases() -> Iterator[Case]:
    x = values((3, 4, 2))
    for axis in (0, 1, -1):
        yield Case("Gather", [x, whole(0, -1, 1)], attributes={"axis": axis})
        yield Case("Gather", [x, np.array(1, np.int64)], attributes={"axis": axis})
    yield Case("Gather", [x, np.zeros((2, 0), np.int64)])
    indices = np.array([[[0, 1]], [[-1, 2]], [[3, 3]]], np.int64)
    yield Case("GatherElements", [x, indices], attributes={"axis": 1})
    yield Case("GatherND", [x, np.array([[0, 1], [2, 3]], np.int64)], (1,))
    yield Case(
        "GatherND", [x, np.array([[1], [0], [3]], np.int64)], (1,), attributes={"batch_dims": 1}
    )
    for reduction in ("none", "add", "mul", "max", "min"):
        flags = {"axis": 0, "reduction": reduction}
        at = np.array([[0, 1], [2, 0]], np.int64)
        yield Case("ScatterElements", [values((3, 3)), at, values((2, 2), 1)], attributes=flags)
        cells = [x, np.array([[0], [2]], np.int64), values((2, 4, 2), 1)]
        yield Case("ScatterND", cells, attributes={"reduction": reduction})
    on = np.array([0.5, 2.0], np.float32)
    for axis in (-1, 0, 1):
        hot = [values((2, 3), dtype="int64") % 4, np.array(4, np.int64), on]
        yield Case("OneHot", hot, (1,), attributes={"axis": axis})
    for largest in (0, 1):
        flags = {"axis": 1, "largest": largest}
        yield Case("TopK", [x, whole(2)], (1,), outputs=2, attributes=flags)
    yield Case("NonZero", [values((3, 4), dtype="int32") % 2])
    for upper in (0, 1):
        for k in (-1, 0, 2):
            shift = np.array(k, np.int64)
            yield Case("Trilu", [values((2, 3, 4)), shift], attributes={"upper": upper})


def create_cases() -> Iterator[Case]:
    x = values((2, 3, 4))
    for flags in ({}, {"start": 1}, {"start": -2, "end": -1}, {"end": 100}, {"start": 2, "end": 1}):
        yield Case("Shape", [x], attributes=flags)
    yield Case("Size", [x])
    fill = numpy_helper.from_array(np.array([7], np.int8))
    yield Case("ConstantOfShape", [whole(2, 0, 3)], (0,), attributes={"value": fill})
    yield Case("ConstantOfShape", [np.zeros(0, np.int64)], (0,))
    for start, limit, delta in ((0, 7, 2), (5, -3, -3), (3, 3, 1), (0, 1, -1)):
        numbers = [np.array(number, np.int64) for number in (start, limit, delta)]
        yield Case("Range", numbers, (0, 1, 2))
    yield Case("Range", [np.array(n, np.float32) for n in (0.5, 3.0, 0.75)], (0, 1, 2))
    double = {"k": 1, "dtype": TensorProto.DOUBLE}
    yield Case("EyeLike", [values((3, 4), dtype="int32")], attributes=double)
    yield Case("Dropout", [x])


def resize_cases() -> Iterator[Case]:
    x = values((1, 1, 4, 5))
    coordinates = "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners asymmetric"
    for mode in ("nearest", "linear", "cubic"):
        for coordinate in coordinates.split():
            for scale in ((1.0, 1.0, 2.0, 1.5), (1.0, 1.0, 0.6, 0.8)):
                flags = {"mode": mode, "coordinate_transformation_mode": coordinate}
                factors = np.array(scale, np.float32)
                yield Case("Resize", [x, None, factors], (2,), rtol=1e-4, attributes=flags)
    for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        flags = {"nearest_mode": nearest}
        yield Case("Resize", [x, None, None, whole(1, 1, 7, 3)], (3,), attributes=flags)
    for mode in ("linear", "cubic"):
        flags = {"mode": mode, "antialias": 1, "exclude_outside": int(mode == "cubic")}
        yield Case("Resize", [x, None, None, whole(1, 1, 2, 3)], (3,), rtol=1e-4, attributes=flags)
    for policy in ("not_larger", "not_smaller"):
        flags = {"keep_aspect_ratio_policy": policy, "axes": [2, 3]}
        yield Case("Resize", [x, None, None, whole(7, 8)], (3,), attributes=flags)
    crop = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}
    roi = np.array([0, 0, 0.2, -0.3, 1, 1, 0.9, 1.2], np.float32)
    case = [x, roi, None, whole(1, 1, 3, 3)]
    flags = {**crop, "extrapolation_value": 9.0}
    yield Case("Resize", case, (1, 3), rtol=1e-4, attributes=flags)


def all_cases() -> Iterator[Case]:
    yield from unary_cases()
    yield from binary_cases()
    yield from cast_cases()
    yield from reduce_cases()
    yield from linear_cases()
    yield from conv_cases()
    yield from pool_cases()
    yield from norm_cases()
    yield from movement_cases()
    yield from piece_cases()
    yield from indexing_cases()
    yield from create_cases()
    yield from resize_cases()


CASES = list(all_cases())


def model_of(case: Case) -> onnx.ModelProto:
    names = [f"x{i}" if item is not None else "" for i, item in enumerate(case.inputs)]
    outputs = [f"y{i}" for i in range(case.outputs)]
    node = helper.make_node(case.op, names, outputs, **case.attributes)
    free: list[onnx.ValueInfoProto] = []
    fixed: list[TensorProto] = []
    for i, (name, item) in enumerate(zip(names, case.inputs, strict=True)):
        if item is not None and i in case.constant:
            fixed.append(numpy_helper.from_array(item, name))
        elif item is not None:
            type_ = helper.np_dtype_to_tensor_dtype(item.dtype)
            free.append(helper.make_tensor_value_info(name, type_, item.shape))
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph([node], "case", free, results, fixed)
    version = 26 if case.op not in ("Celu", "OneHot", "ReduceLogSum", "ReduceLogSumExp") else 25
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])


def free_inputs(case: Case) -> list[Array]:
    pairs = enumerate(case.inputs)
    return [item for i, item in pairs if item is not None and i not in case.constant]


def the_operator(module: ModuleOp) -> GraphOp:
    (found,) = (op for op in module.walk() if isinstance(op, GraphOp))
    return found


def named(op: GraphOp) -> GraphOp:
    """The op over arguments with a name for each extent that is not 0 or 1."""
    from xdsl.dialects.test import TestOp

    copy = op.clone()
    for i, operand in enumerate(op.operands):
        known = info(operand)
        if known.dims is None or isinstance(operand.owner, ConstantOp):
            continue
        dims = [symbol(f"s{dim}") if dim not in (0, 1) else dim for dim in known.dims]
        source = TestOp(result_types=[tensor_type(dims, known.element)])
        copy.operands[i] = source.results[0]
    return copy


def assert_fits(dims: Sequence[MaybeDim] | None, array: Array) -> None:
    if dims is None:
        return
    sizes: dict[str, Dim] = {f"s{size}": size for size in range(100)}
    known = [None if dim is None else substitute(dim, sizes) for dim in dims]
    assert len(known) == array.ndim
    for extent, size in zip(known, array.shape, strict=True):
        assert extent is None or extent == size, f"inferred {known}, got {array.shape}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_types_agree_with_onnx(case: Case) -> None:
    model = model_of(case)
    feeds = {
        node.name: array for node, array in zip(model.graph.input, free_inputs(case), strict=True)
    }
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        evaluator: Any = ReferenceEvaluator(model)
        expected: list[Any] = evaluator.run(None, feeds)
    module = import_model(model)
    module.verify()
    results = run_module(module, feeds)
    op = the_operator(module)
    assert case.op == op.ONNX_NAME
    inferred, symbolic = [info(type_) for type_ in op.infer()], named(op).infer()
    for result, wanted, type_, other in zip(results, expected, inferred, symbolic, strict=True):
        wanted = np.asarray(wanted)
        assert result.dtype == wanted.dtype
        assert result.shape == wanted.shape
        np.testing.assert_allclose(
            result.astype(np.float64), wanted.astype(np.float64), rtol=case.rtol, atol=1e-5
        )
        assert type_.dims == result.shape or case.op == "NonZero", "inference is not complete"
        assert_fits(info(other).dims, result)


def test_every_operator_has_a_case() -> None:
    tested = {case.op for case in CASES} | {"GlobalLpPool"}  # test_reference_by_definition.py
    ours = [found for found in operators().values() if found.onnx_name]
    assert not [found.name for found in ours if found.onnx_name not in tested]


def test_every_operator_has_a_meaning() -> None:
    lacking = [name for name, found in operators().items() if found.meaning is None]
    assert not lacking


def test_names_follow_onnx() -> None:
    for name, found in operators().items():
        if not found.onnx_name:  # made by passes: graph.relayout, graph.winograd_conv
            continue
        assert by_onnx_name(found.onnx_name) is found
        assert name.removeprefix("graph.").replace("_", "") == found.onnx_name.lower()
        assert isinstance(found.cls.PATTERN, int)
        assert issubclass(found.cls, Operation)
