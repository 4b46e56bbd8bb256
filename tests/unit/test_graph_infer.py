"""Types that operators infer: named extents, shape arithmetic, unknowns, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import NoneAttr, StringAttr, f32, i64
from xdsl.dialects.test import TestOp
from xdsl.ir import Attribute, SSAValue
from xdsl.utils.exceptions import VerifyException

from nnc.core.errors import ModelError, NncError, UnsupportedError
from nnc.core.irtypes import strings
from nnc.core.symbolic import symbol
from nnc.dialects.graph.base import ConstantOp, GraphOp
from nnc.dialects.graph.registry import by_onnx_name, operator, register
from nnc.dialects.graph.types import (
    EncodingAttr,
    MaybeDim,
    broadcast,
    describe,
    info,
    merge,
    tensor_type,
)
from nnc.dialects.graph.values import shape_value

N, S = symbol("batch"), symbol("seq")


def value(*dims: MaybeDim, element: Attribute | None = f32) -> SSAValue:
    return TestOp(result_types=[tensor_type(dims, element)]).results[0]


def unranked(element: Attribute | None = None) -> SSAValue:
    return TestOp(result_types=[tensor_type(None, element)]).results[0]


def constant(*numbers: int) -> SSAValue:
    return ConstantOp.of(np.array(numbers, np.int64)).res


def scalar(number: int) -> SSAValue:
    return ConstantOp.of(np.array(number, np.int64)).res


def make(
    name: str, *operands: SSAValue | None, results: int | None = None, **props: Any
) -> GraphOp:
    found = by_onnx_name(name)
    assert found is not None
    op = found.cls.of(*operands, results=results, **props)
    op.verify()
    return op


def shown(name: str, *operands: SSAValue | None, **props: Any) -> str:
    return describe(info(make(name, *operands, **props).results[0]))


Build = Callable[[], str]


@pytest.mark.parametrize(
    ("expected", "build"),
    [
        ("[batch, 64] f32", lambda: shown("Add", value(N, 64), value(64))),
        ("[batch, seq] f32", lambda: shown("Add", value(N, 1), value(1, S))),
        ("[batch, ?] f32", lambda: shown("Add", value(N, S), value(N, symbol("k")))),
        ("[*] f32", lambda: shown("Add", value(4), unranked())),
        ("[batch, 5] i1", lambda: shown("Less", value(N, 5), value(N, 5))),
        ("[batch, 12, seq, seq] f32", lambda: shown("MatMul", value(N, 12, S, 32), value(32, S))),
        ("[batch, 8] f32", lambda: shown("Gemm", value(N, 4), value(8, 4), transB=1)),
        ("[batch, 2 * seq] f32", lambda: shown("Concat", value(N, S), value(N, S), axis=1)),
        ("[seq, batch] f32", lambda: shown("Transpose", value(N, S))),
        ("[batch, 3 * seq] f32", lambda: shown("Flatten", value(N, S, 3))),
        ("[batch, seq, 12, 32] f32",
         lambda: shown("Reshape", value(N, S, 384), constant(0, -1, 12, 32))),
        ("[batch * seq, 384] f32", lambda: shown("Reshape", value(N, S, 384), constant(-1, 384))),
        ("[?, ?] f32", lambda: shown("Reshape", value(N, 6), value(2, element=i64))),
        ("[*] f32", lambda: shown("Reshape", value(N, 6), value(None, element=i64))),
        ("[batch, max(0, seq - 2)] f32",
         lambda: shown("Slice", value(N, S), constant(1), constant(-1), constant(1))),
        ("[batch, seq] f32",
         lambda: shown("Slice", value(N, S), constant(0), constant(2**63 - 1), constant(1))),
        ("[batch, seq, 384] f32", lambda: shown("Gather", value(9, 384), value(N, S, element=i64))),
        ("[batch, 1] f32", lambda: shown("ReduceSum", value(N, S), constant(1))),
        ("[batch] f32", lambda: shown("ReduceSum", value(N, S), constant(-1), keepdims=0)),
        ("[?, ?] f32", lambda: shown("ReduceSum", value(N, S), value(1, element=i64))),
        ("[batch, 1, seq] f32", lambda: shown("Unsqueeze", value(N, S), constant(1))),
        ("[*] f32", lambda: shown("Squeeze", value(N, 1))),
        ("[2] i64", lambda: shown("Shape", value(N, S))),
        ("[2, ?] i64", lambda: shown("NonZero", value(N, S))),
        ("[batch + 3, seq - 1] f32", lambda: shown("Pad", value(N, S), constant(1, 0, 2, -1))),
    ],
)  # fmt: skip
def test_named_extents(expected: str, build: Build) -> None:
    assert build() == expected


@pytest.mark.parametrize(
    ("expected", "props"),
    [
        ("[batch, 8, seq - 2] f32", {}),
        ("[batch, 8, seq] f32", {"pads": [1, 1]}),
        ("[batch, 8, (seq + 1) floordiv 2] f32", {"pads": [1, 1], "strides": [2]}),
        ("[batch, 8, (seq + 1) floordiv 2] f32", {"auto_pad": "SAME_LOWER", "strides": [2]}),
        ("[batch, 8, seq - 4] f32", {"dilations": [2]}),
    ],
)
def test_convolution(expected: str, props: dict[str, Any]) -> None:
    assert shown("Conv", value(N, 4, S), value(8, 4, 3), **props) == expected


def test_shape_arithmetic_reaches_the_reshape() -> None:
    shape = make("Shape", value(N, S, 384)).results[0]
    batch = make("Gather", shape, scalar(0)).results[0]
    rows = make("Mul", batch, make("Gather", shape, scalar(1)).results[0]).results[0]
    parts = [make("Unsqueeze", part, constant(0)).results[0] for part in (batch, rows)]
    wanted = make("Concat", *parts, constant(-1), axis=0).results[0]
    content = shape_value(wanted)
    assert content is not None
    assert content.tolist() == [N, N * S, -1]


def test_expand_of_a_mask_that_is_where_of_shapes() -> None:
    shape = make("Concat", constant(-1), constant(7), axis=0).results[0]
    ones = make("ConstantOfShape", constant(2), value=np_dense(1)).results[0]
    is_free = make("Equal", shape, make("Mul", ones, scalar(-1)).results[0]).results[0]
    chosen = make("Where", is_free, ones, shape).results[0]
    content = shape_value(chosen)
    assert content is not None
    assert content.tolist() == [1, 7]
    assert shown("Expand", value(N, 1), chosen) == "[batch, 7] f32"


def np_dense(number: int) -> Attribute:
    return ConstantOp.of(np.array([number], np.int64)).value


def test_unknown_elements_of_a_shape_stay_alone_unknown() -> None:
    part = make("Concat", value(1, element=i64), constant(384), axis=0).results[0]
    assert shown("Expand", value(1, 1), part) == "[?, 384] f32"


def test_operands_follow_from_results() -> None:
    x, y = value(4), unranked()
    add = make("Add", x, y)
    _, wanted = add.infer_operands()
    assert wanted == tensor_type((4,), f32)
    transposed = make("Transpose", unranked(f32), perm=[1, 0])
    transposed.results[0].name_hint = "t"
    assert transposed.infer_operands() == [tensor_type((None, None), f32)]


@pytest.mark.parametrize(
    ("message", "build"),
    [
        (r"\[2, 3\] and \[4\] do not broadcast", lambda: shown("Add", value(2, 3), value(4))),
        ("element types differ", lambda: shown("Add", value(2), value(2, element=i64))),
        ("'x' has element type i64", lambda: shown("Exp", value(2, element=i64))),
        (r"\[2, 3\] and \[4, 2\] do not multiply",
         lambda: shown("MatMul", value(2, 3), value(4, 2))),
        ("the data has 4 channels", lambda: shown("Conv", value(1, 4, 9), value(8, 3, 3))),
        ("5 output channels in 2 groups",
         lambda: shown("Conv", value(1, 4, 9), value(5, 2, 3), group=2)),
        ("a window of 3 over a padded extent of 1",
         lambda: shown("Conv", value(1, 4, 1), value(8, 4, 3))),
        ("pads .* for 1 spatial", lambda: shown("Conv", value(1, 4, 9), value(8, 4, 3), pads=[1])),
        ("auto_pad 'SAME'", lambda: shown("Conv", value(1, 4, 9), value(8, 4, 3), auto_pad="SAME")),
        ("kernel_shape .* differs",
         lambda: shown("Conv", value(1, 4, 9), value(8, 4, 3), kernel_shape=[5])),
        ("has 6 elements, .* has 8", lambda: shown("Reshape", value(2, 3), constant(2, 4))),
        ("does not divide", lambda: shown("Reshape", value(2, 3), constant(-1, 4))),
        ("more than one -1", lambda: shown("Reshape", value(2, 3), constant(-1, -1))),
        ("is no permutation", lambda: shown("Transpose", value(2, 3), perm=[0, 0])),
        (r"axis 2 is outside \[-2, 2\)", lambda: shown("Softmax", value(2, 3), axis=2)),
        ("name a dimension twice", lambda: shown("ReduceSum", value(2, 3), constant(0, -2))),
        ("is not 1", lambda: shown("Squeeze", value(2, 3), constant(0))),
        ("a step is 0",
         lambda: shown("Slice", value(4), constant(0), constant(1), constant(0), constant(0))),
        ("differ in rank", lambda: shown("Concat", value(2, 3), value(2), axis=0)),
        ("pieces .* add up", lambda: shown("Split", value(5), constant(2, 2), results=2)),
        ("lacks 'b'", lambda: shown("Add", value(2))),
        ("takes 2 operands, got 3", lambda: shown("Add", value(2), value(2), value(2))),
        ("approximate 'fast'", lambda: shown("Gelu", value(2), approximate="fast")),
    ],
)  # fmt: skip
def test_refusals(message: str, build: Build) -> None:
    with pytest.raises(ModelError, match=message):
        build()


def test_verify_compares_the_result_with_what_is_inferred() -> None:
    found = by_onnx_name("Relu")
    assert found is not None
    good = found.cls(operands=[value(N, 3)], result_types=[tensor_type((None, 3), f32)])
    good.verify()
    wrong = found.cls(operands=[value(N, 3)], result_types=[tensor_type((None, 4), f32)])
    with pytest.raises(VerifyException, match=r"graph.relu: .*4"):
        wrong.verify()


def test_merge_keeps_what_is_known_and_refuses_contradictions() -> None:
    assert merge(tensor_type((None, 3), None), tensor_type((N, None), f32)) == tensor_type(
        (N, 3), f32
    )
    assert merge(tensor_type((N,), f32), tensor_type((8,), f32)) == tensor_type((8,), f32)
    with pytest.raises(ModelError, match="extent 3 differs from 4"):
        merge(tensor_type((3,), f32), tensor_type((4,), f32))
    with pytest.raises(ModelError, match=r"\[3\] differs from \[3, 1\]"):
        merge(tensor_type((3,), f32), tensor_type((3, 1), f32))


def test_broadcast_of_names() -> None:
    assert broadcast((N, 1), (S,)) == (N, S)
    assert broadcast((N,), (0,)) == (0,)
    assert broadcast((N,), (None,)) == (None,)
    assert broadcast((5,), (None,)) == (5,)
    assert broadcast((N,), None) is None


def test_an_encoding_with_a_malformed_extent_is_refused() -> None:
    with pytest.raises(VerifyException, match="expected a number"):
        EncodingAttr(strings(["2 *"]), NoneAttr())
    assert EncodingAttr(strings(["?", "2 * n"]), NoneAttr()).dims.data[0] == StringAttr("?")


def test_registry_names() -> None:
    relu = operator("graph.relu")
    assert by_onnx_name("Relu") is relu
    with pytest.raises(UnsupportedError, match=r"did you mean 'graph.relu'"):
        operator("graph.rellu")
    with pytest.raises(NncError, match=r"'graph.relu' of nnc and 'graph.relu' of"):
        register(relu.cls)
