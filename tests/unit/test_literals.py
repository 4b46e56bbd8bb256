"""Numbers in the text form."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import bf16, f16, f32, f64

from nnc.core.errors import TextError
from nnc.core.walk import walk
from nnc.dialects.graph.base import ConstantOp
from nnc.textir import parse
from nnc.textir.literals import float_text


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("type_", "largest"),
    [
        (f16, 65504.0),
        (bf16, (2 - 2**-7) * 2.0**127),
        (f32, (2 - 2**-23) * 2.0**127),
        (f64, (2 - 2**-52) * 2.0**1023),
    ],
)
def test_the_largest_number_of_a_type_reads_back(type_: Any, largest: float, sign: float) -> None:
    text = float_text(sign * largest, type_)
    assert type_.pack((float(text),)) == type_.pack((sign * largest,))


def constant(literal: str, type_: str) -> Any:
    made = f"%c = graph.constant dense<{literal}> : {type_}"
    module = parse(f"func.func @main() -> {type_} {{\n  {made}\n  func.return %c\n}}")
    return next(op for op in walk(module) if isinstance(op, ConstantOp)).array


def test_elements_of_dense_literals_may_be_bits() -> None:
    """As MLIR reads and xDSL prints infinities and NaN; of integers a hexadecimal is the value."""
    found = constant("[0x7F800000, -1.5, 0xFFC00000]", "tensor<3xf32>")
    assert found.tolist()[:2] == [float("inf"), -1.5]
    assert np.isnan(found[2])
    assert np.signbit(found[2])
    assert constant("0xFC00", "tensor<2xf16>").tolist() == [float("-inf")] * 2
    assert constant("0x10", "tensor<i8>") == 16
    with pytest.raises(TextError, match="0x17F800000 is not the bits of a f32"):
        constant("0x17F800000", "tensor<f32>")
