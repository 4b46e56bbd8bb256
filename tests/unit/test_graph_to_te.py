"""Every lowering against the operator's NumPy meaning: te, run by the reference, gives the same.

Shapes do not divide, and have extents of 0 and 1 among them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import (
    IntegerType,
    ModuleOp,
    Signedness,
    TensorType,
    bf16,
    f16,
    f64,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from nnc.core.dtypes import element_type
from nnc.core.errors import UnsupportedError
from nnc.dialects import te
from nnc.dialects.graph.base import ConstantOp, KernelOp, YieldOp
from nnc.dialects.graph.binary import AddOp
from nnc.dialects.graph.registry import operator
from nnc.lowering.graph_to_te.convert_graph_to_te import ConvertGraphToTePass
from nnc.lowering.graph_to_te.registry import why_host
from nnc.reference.graph import evaluate
from nnc.reference.te import run_kernel

Array = np.ndarray[Any, Any]
random = np.random.default_rng(7)
ui8 = IntegerType(8, Signedness.UNSIGNED)


def real(*shape: int, dtype: str = "f4", scale: float = 1.0) -> Array:
    return np.asarray(random.normal(size=shape) * scale).astype(dtype)


def whole(*shape: int, low: int = -5, high: int = 6, dtype: str = "i8") -> Array:
    return np.asarray(random.integers(low, high, size=shape)).astype(dtype)


def numbers(*values: int) -> Array:
    return np.array(values, "i8")


class Const:
    """An operand that is a constant of the graph."""

    def __init__(self, *values: float, dtype: str = "i8", scalar: bool = False):
        array = np.array(values, dtype)
        self.array: Array = array.reshape(()) if scalar else array


Operand = Array | Const | None


def lower(
    name: str, operands: Sequence[Operand], results: int | None, properties: dict[str, Any]
) -> tuple[te.KernelOp, te.CallOp, dict[SSAValue, Array]]:
    """One operator in a fused kernel: the te kernel and the call that come of it, and its inputs.

    Constants stand inside the kernel, as fuse leaves them.
    """
    data = [operand for operand in operands if isinstance(operand, np.ndarray)]
    types = [_type(array) for array in data]
    main, body = Block(arg_types=types), Block(arg_types=types)
    arguments = iter(body.args)
    inner: list[SSAValue | None] = []
    for operand in operands:
        if isinstance(operand, Const):
            constant = ConstantOp.of(operand.array)
            body.add_op(constant)
            inner.append(constant.res)
        else:
            inner.append(None if operand is None else next(arguments))
    op = operator(name).cls.of(*inner, results=results, **properties)
    body.add_ops([op, YieldOp(*op.results)])
    kernel = KernelOp("kernel", main.args, [r.type for r in op.results], Region(body))
    main.add_ops([kernel, ReturnOp(*kernel.results)])
    signature = (types, [r.type for r in kernel.results])
    module = ModuleOp([FuncOp("main", signature, Region(main))])
    module.verify()
    ConvertGraphToTePass().apply(Context(), module)
    module.verify()
    [lowered] = [o for o in module.ops if isinstance(o, te.KernelOp)]
    [call] = [o for o in main.ops if isinstance(o, te.CallOp)]
    values: dict[SSAValue, Array] = dict(zip(main.args, data, strict=True))
    values |= {o.res: o.array for o in main.ops if isinstance(o, ConstantOp)}
    return lowered, call, values


def _type(array: Array) -> TensorType[Any]:
    return TensorType(element_type(array.dtype), array.shape)


def check(
    name: str,
    *operands: Operand,
    results: int | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-5,
    **properties: Any,
) -> None:
    name = f"graph.{name}"
    arrays = [o.array if isinstance(o, Const) else o for o in operands]
    given = [array for array in arrays if array is not None]
    values = [None if array is None else ConstantOp.of(array).res for array in arrays]
    expected = evaluate(operator(name).cls.of(*values, results=results, **properties), given)
    kernel, call, inputs = lower(name, operands, results, properties)
    found = run_kernel(kernel, [inputs[argument] for argument in call.args])
    for got, want in zip(found, expected, strict=True):
        want = np.asarray(want)
        got = got.view(want.dtype) if got.dtype.kind in "iu" else got
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        if want.dtype.kind in "iub":
            np.testing.assert_array_equal(got, want)
        else:
            half = want.dtype.itemsize == 2
            np.testing.assert_allclose(
                got.astype("f8"),
                want.astype("f8"),
                rtol=2e-2 if half else rtol,
                atol=1e-2 if half else atol,
            )


UNARY = [
    *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "celu", "cos", "cosh"),
    *("elu", "erf", "exp", "floor", "gelu", "hard_sigmoid", "hard_swish", "identity", "is_inf"),
    *("is_nan", "leaky_relu", "log", "mish", "neg", "reciprocal", "relu", "round", "selu"),
    *("shrink", "sigmoid", "sign", "sin", "sinh", "softplus", "softsign", "sqrt", "swish", "tan"),
    *("tanh", "thresholded_relu"),
]


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    check(name, real(3, 1, 5))
    check(name, real(0, 2))
    check(name, real(4, dtype="f2"))
    check(name, np.array(0.5, "f4"))


def test_relu_and_minimum_keep_nan() -> None:
    values = np.array([np.nan, -1.0, 2.0], "f4")
    check("relu", values)
    check("min", values, np.zeros(3, "f4"))
    check("clip", values, Const(-0.5, dtype="f4", scalar=True), None)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_arithmetic_broadcasts(name: str) -> None:
    check(name, abs(real(3, 1, 5)), real(2, 1))
    check(name, abs(real(3, 4, dtype="f2")), real(4, dtype="f2"))
    check(name, whole(3, 4), whole(4, low=1, high=4))
    check(name, whole(3, 4, low=0, high=255, dtype="u1"), whole(4, low=1, high=255, dtype="u1"))
    check(name, whole(0, 4, dtype="i4"), whole(1, low=1, high=4, dtype="i4"))


def test_powers() -> None:
    check("pow", whole(3, 4, dtype="i4"), real(4), rtol=1e-3)
    check("pow", real(3, 4), whole(4))
    check("pow", whole(3, 4, low=1), whole(4, low=-3))
    for exponent in (2.0, 0.5, 3.0, -1.0, 1.0, 0.3):
        check("pow", abs(real(3, 4)), Const(exponent, dtype="f4", scalar=True))


@pytest.mark.parametrize("name", ["equal", "less", "less_or_equal", "greater", "greater_or_equal"])
def test_comparisons(name: str) -> None:
    check(name, whole(3, 4), whole(4))
    check(name, np.array([np.nan, 1, 2], "f4"), np.array([np.nan, 1, 3], "f4"))
    check(name, whole(5, low=0, high=255, dtype="u1"), whole(5, low=0, high=255, dtype="u1"))


def test_logic_and_bits() -> None:
    for name in ("and", "or", "xor"):
        check(name, whole(3, 4) > 0, whole(4) > 0)
        check(f"bitwise_{name}", whole(3, 4), whole(4))
    check("not", whole(3, 4) > 0)
    check("bitwise_not", whole(3, 4))
    for direction in ("LEFT", "RIGHT"):
        data = whole(3, 4, low=0, high=255, dtype="u1")
        check("bit_shift", data, whole(4, low=0, high=12, dtype="u1"), direction=direction)


def test_remainders() -> None:
    check("mod", whole(3, 4, low=-20, high=20), -whole(4, low=1, high=5), fmod=0)
    check("mod", whole(3, 4, low=-20, high=20), whole(4, low=1, high=5), fmod=1)
    check("mod", real(3, 4, scale=10), real(4), fmod=1)
    check("mod", np.array([5.3, -5.3, np.inf], "f4"), np.array([np.inf, 0.7, 2], "f4"), fmod=1)


def test_several_operands() -> None:
    for name in ("max", "min", "sum", "mean"):
        check(name, real(3, 4), real(4), real(3, 1))
        check(name, real(3, 4))
    check("max", whole(4, low=0, high=255, dtype="u1"), whole(4, low=0, high=255, dtype="u1"))
    check("where", whole(3, 4) > 0, real(3, 1), real(4))
    check("p_relu", real(2, 3, 4), real(3, 1))
    check("clip", real(3, 4), None, np.array(0.5, "f4"))


@pytest.mark.parametrize("to", [f16, bf16, f64, i1, i8, i32, ui8], ids=str)
def test_casts(to: Any) -> None:
    check("cast", abs(real(3, 4, scale=3)), to=to)
    check("cast", whole(3, 4), to=to)
    check("cast", whole(3, 4, low=0, high=255, dtype="u1"), to=to)
    check("cast", whole(3) > 0, to=to)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((5, 7), (7, 3)),
        ((2, 1, 5, 7), (3, 7, 3)),
        ((7,), (7, 3)),
        ((5, 7), (7,)),
        ((7,), (7,)),
        ((2, 5, 7), (7,)),
        ((0, 7), (7, 3)),
        ((2, 0), (0, 3)),
        ((1, 1, 1, 4), (1, 1, 4, 1)),
    ],
)
def test_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    check("matmul", real(*a), real(*b))
    check("matmul", whole(*a), whole(*b))
    check("matmul", real(*a, dtype="f2"), real(*b, dtype="f2"))


def test_gemm() -> None:
    check("gemm", real(5, 7), real(7, 3), real(3))
    check("gemm", real(7, 5), real(3, 7), real(5, 1), transA=1, transB=1, alpha=0.5, beta=2.0)
    check("gemm", real(5, 7), real(7, 3))
    check("gemm", real(5, 7), real(7, 3), real(), alpha=0.3)


def test_conv() -> None:
    image = real(1, 4, 7, 7)
    padded: dict[str, Any] = {"pads": [1, 0, 2, 1], "strides": [2, 2], "group": 2}
    check("conv", image, real(6, 2, 3, 3), real(6), **padded)
    check("conv", real(2, 3, 9), real(4, 3, 3), dilations=[2])
    check("conv", real(1, 3, 5, 6, 7), real(2, 3, 2, 2, 2), real(2))
    check("conv", image, real(4, 1, 3, 3), group=4, auto_pad="SAME_UPPER", strides=[2, 2])
    check("conv", image, real(8, 1, 3, 3), group=4, auto_pad="SAME_LOWER")
    check("conv", real(0, 4, 8, 8), real(8, 4, 3, 3))
    check("conv", real(1, 2, 1, 1), real(3, 2, 1, 1))


def test_conv_transpose() -> None:
    pads: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}
    check("conv_transpose", real(1, 4, 5, 5), real(4, 3, 3, 3), real(3), **pads)
    check("conv_transpose", real(1, 4, 5), real(4, 3, 3), group=2, dilations=[2])


def test_max_pool() -> None:
    strided: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2]}
    check("max_pool", real(1, 3, 8, 8), **strided, pads=[1, 1, 1, 1])
    check("max_pool", real(1, 3, 7, 7), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    check("max_pool", real(1, 3, 8), kernel_shape=[3], dilations=[2])
    image = whole(1, 3, 8, 8, low=0, high=255, dtype="u1")
    check("max_pool", image, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    check("max_pool", real(2, 3, 8, 7), **strided, pads=[1, 1, 1, 1], results=2)
    check("max_pool", real(2, 3, 8, 7), **strided, results=2, storage_order=1)


@pytest.mark.parametrize("include", [0, 1])
def test_average_pool(include: int) -> None:
    how: dict[str, Any] = {"count_include_pad": include}
    strided: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2]}
    check("average_pool", real(1, 3, 8, 8), **strided, pads=[1, 1, 1, 1], **how)
    check("average_pool", real(1, 3, 7, 7), **strided, ceil_mode=1, pads=[1, 0, 1, 0], **how)
    check("average_pool", real(1, 3, 9), kernel_shape=[3], dilations=[2], pads=[2, 1], **how)


def test_other_pools() -> None:
    for p in (1, 2, 3):
        check("lp_pool", real(1, 3, 8, 8), kernel_shape=[3, 3], p=p)
        check("global_lp_pool", real(2, 3, 5, 6), p=p)
    check("global_average_pool", real(2, 3, 5, 6))
    check("global_max_pool", real(2, 3, 5, 6))


REDUCTIONS = [
    *("l1", "l2", "log_sum", "log_sum_exp", "max", "mean", "min", "prod", "sum", "sum_square"),
]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str) -> None:
    name = f"reduce_{name}"
    for keepdims in (0, 1):
        check(name, abs(real(3, 4, 5)), Const(1, -1), keepdims=keepdims)
        check(name, abs(real(3, 4, 5)), keepdims=keepdims)
    check(name, whole(3, 4, 5, low=1, dtype="i4"), Const(0))
    check(name, abs(real(3, 4)), Const(), noop_with_empty_axes=1)
    check(name, real(0, 4), Const(0))
    check(name, real(0, 4), Const(1))


def test_extrema_of_other_types() -> None:
    for name in ("reduce_max", "reduce_min"):
        check(name, whole(3, 4) > 0, Const(1))
        check(name, whole(3, 4, low=0, high=255, dtype="u1"), Const(1))
        check(name, np.array([[np.nan, 1], [2, 3]], "f4"), Const(1))


@pytest.mark.parametrize("name", ["arg_max", "arg_min"])
@pytest.mark.parametrize("last", [0, 1])
def test_positions_of_extrema(name: str, last: int) -> None:
    for keepdims in (0, 1):
        how: dict[str, Any] = {"select_last_index": last, "keepdims": keepdims}
        check(name, whole(3, 4, 5, low=0, high=3).astype("f4"), axis=1, **how)
        check(name, whole(3, 4, 5, low=0, high=3, dtype="u1"), axis=-1, **how)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_cum_sum(exclusive: int, reverse: int) -> None:
    how: dict[str, Any] = {"exclusive": exclusive, "reverse": reverse}
    check("cum_sum", real(3, 4, 5), Const(1, scalar=True), **how)
    check("cum_sum", whole(3, dtype="i4"), Const(0, scalar=True), **how)


def test_norms() -> None:
    image = real(2, 6, 4, 5)
    statistics = (real(6), real(6), real(6), abs(real(6)))
    check("batch_normalization", image, *statistics)
    check("batch_normalization", image, *statistics, training_mode=1, results=3)
    check("layer_normalization", real(2, 3, 4), real(4), real(4))
    check("layer_normalization", real(2, 3, 4), real(3, 4), axis=1, results=3)
    check("layer_normalization", *(real(*s, dtype="f2") for s in ((2, 3, 4), (4,), (4,))))
    check("rms_normalization", real(2, 3, 4), real(4))
    check("instance_normalization", image, real(6), real(6))
    check("group_normalization", image, real(6), real(6), num_groups=2)
    check("lrn", image, size=3)
    check("lrn", image, size=4)
    check("lp_normalization", real(3, 4), p=1)
    check("lp_normalization", real(3, 4), axis=0)
    check("mean_variance_normalization", real(3, 4, 5, 6))


def test_softmax_family() -> None:
    for name in ("softmax", "log_softmax", "hardmax"):
        check(name, real(3, 4, 5), axis=1)
        check(name, real(3, 1))
        check(name, real(3, 4, dtype="f2"))
    check("softmax", np.array([[1000.0, -1000.0]], "f4"))


RESHAPES = [
    ((2, 3, 4), (6, 4)),
    ((2, 3, 4), (4, 6)),
    ((1, 1, 5), (5,)),
    ((5,), (1, 5, 1)),
    ((2, 6), (3, 4)),
    ((), (1,)),
    ((1, 1), ()),
    ((12,), (2, 3, 2)),
    ((2, 3, 4, 5), (2, 3, 20)),
    ((4, 6, 1), (2, 2, 3, 2)),
    ((2, 0, 3), (3, 0)),
]


@pytest.mark.parametrize(("old", "new"), RESHAPES)
def test_reshape(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    check("reshape", real(*old), Const(*new), allowzero=1)


def test_movement() -> None:
    check("flatten", real(2, 3, 4), axis=2)
    check("squeeze", real(2, 1, 4), Const(1))
    check("unsqueeze", real(2, 4), Const(0, -1))
    check("transpose", real(2, 3, 4), perm=[2, 0, 1])
    check("transpose", real(2, 3))
    check("expand", real(3, 1), Const(2, 1, 4))
    check("expand", real(3, 1), Const(1))
    for mode in ("DCR", "CRD"):
        check("depth_to_space", real(2, 8, 3, 4), blocksize=2, mode=mode)
    check("space_to_depth", real(2, 2, 6, 4), blocksize=2)
    check("tile", real(2, 3), Const(2, 3))
    check("tile", real(2, 3), Const(0, 3))


def test_pieces() -> None:
    check("concat", real(2, 3), real(2, 1), real(2, 0), real(2, 4), axis=1)
    check("concat", real(2, 3), axis=0)
    check("concat", whole(2, 3), whole(5, 3), axis=-2)
    data = real(7, 8)
    check("slice", data, Const(1, -1), Const(6, -100), Const(0, 1), Const(2, -2))
    check("slice", data, Const(3), Const(100))
    check("slice", data, Const(5), Const(2), Const(0))
    check("split", real(2, 7), Const(3, 0, 4), axis=1, results=3)
    check("split", real(7, 2), num_outputs=3, axis=0, results=3)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pad(mode: str) -> None:
    check("pad", real(4, 5), Const(1, 2, 3, 0), mode=mode)
    check("pad", real(4, 5), Const(2, -1), None, Const(1), mode=mode)
    check("pad", real(3, 4), Const(2, 3, 2, 2), mode=mode)
    check("pad", real(4, 5), Const(1, 2, 3, 0), Const(2.5, dtype="f4", scalar=True), mode=mode)


def test_indexing() -> None:
    table = real(5, 4)
    check("gather", table, whole(2, 3, low=-5, high=5))
    check("gather", table, whole(3, low=-4, high=4), axis=1)
    check("gather", table, np.array(2))
    check("gather", table, whole(0))
    check("gather", table, whole(2, low=0, high=4, dtype="i4"))
    check("gather_elements", real(3, 4), whole(2, 4, low=-3, high=3))
    check("gather_nd", real(2, 3, 4), whole(2, 2, low=0, high=2))
    check("gather_nd", real(2, 3, 4), whole(2, 1, low=0, high=2), batch_dims=1)
    check("one_hot", whole(3, low=-4, high=4), Const(4), Const(1, 5, dtype="f4"))
    check("one_hot", whole(3, 2, low=-4, high=8), Const(4), Const(1, 5), axis=0)
    for upper in (0, 1):
        check("trilu", real(2, 4, 5), upper=upper)
        check("trilu", real(4, 5), Const(-2, scalar=True), upper=upper)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    "transform", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
)
def test_resize(mode: str, transform: str) -> None:
    how: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": transform}
    image = real(1, 2, 4, 5)
    check("resize", image, None, Const(1, 1, 2, 2, dtype="f4"), **how)
    check("resize", image, None, Const(1, 1, 0.6, 1.7, dtype="f4"), **how)
    check("resize", image, None, None, Const(3, 7), axes=[2, 3], **how)
    check("resize", whole(1, 1, 3, 3, low=0, high=255, dtype="u1"), None, None, Const(1, 1, 5, 7))


def test_resize_crops_and_limits() -> None:
    roi = Const(0, 0, 0.4, 0.6, 1, 1, 0.6, 1.4, dtype="f4")
    crop: dict[str, Any] = {"coordinate_transformation_mode": "tf_crop_and_resize"}
    for mode in ("nearest", "linear"):
        check("resize", real(1, 1, 4, 4), roi, None, Const(1, 1, 3, 3), mode=mode, **crop)
    for policy in ("not_larger", "not_smaller"):
        sizes = Const(7, 8)
        kept: dict[str, Any] = {"keep_aspect_ratio_policy": policy}
        check("resize", real(1, 1, 2, 4), None, None, sizes, axes=[2, 3], mode="linear", **kept)
    shrunk = Const(1, 1, 0.6, 0.6, dtype="f4")
    check("resize", real(1, 1, 4, 4), None, shrunk, mode="linear", antialias=1)
    check("resize", real(1, 1, 4, 4), None, shrunk, mode="cubic", exclude_outside=1)


def test_tensors_of_positions() -> None:
    check("range", *(Const(v, scalar=True) for v in (1, 10, 3)))
    check("range", *(Const(v, dtype="f4", scalar=True) for v in (1.0, -3.0, -0.5)))
    check("constant_of_shape", Const(2, 3))
    check("eye_like", real(3, 4), k=1)
    check("eye_like", real(3, 4), k=-1, dtype=i64)
    check("dropout", real(3, 4), results=2)


def test_why_an_operator_runs_on_the_host() -> None:
    block = Block(arg_types=[_type(real(3, 4)), _type(numbers(1, 2)), TensorType(i64, [-1])])
    data, axes, unknown = block.args
    assert why_host(operator("graph.relu").cls.of(data)) is None
    assert why_host(operator("graph.non_zero").cls.of(data)) == "it has no lowering to te"
    reduction = operator("graph.reduce_sum").cls.of(data, axes)
    assert why_host(reduction) == "its shapes are not known"
    assert why_host(operator("graph.neg").cls.of(unknown)) == "its shapes are not known"
    squeezed = operator("graph.reduce_sum").cls.of(data, axes, keepdims=1)
    assert why_host(squeezed) == "its shapes are not known"


def test_a_kernel_of_unknown_shape_is_refused_by_name() -> None:
    type_ = TensorType(element_type("float32"), [-1])
    body = Block(arg_types=[type_])
    op = AddOp.of(body.args[0], body.args[0])
    body.add_ops([op, YieldOp(op.res)])
    main = Block(arg_types=[type_])
    kernel = KernelOp("k", main.args, [op.res.type], Region(body))
    main.add_ops([kernel, ReturnOp(*kernel.results)])
    types = ([type_], [op.res.type])
    module = ModuleOp([FuncOp("main", types, Region(main))])
    with pytest.raises(UnsupportedError, match=r"graph.add has a shape that is not known"):
        ConvertGraphToTePass().apply(Context(), module)
