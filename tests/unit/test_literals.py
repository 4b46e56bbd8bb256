"""Numbers in the text form."""

from typing import Any

import pytest
from xdsl.dialects.builtin import bf16, f16, f32, f64

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
