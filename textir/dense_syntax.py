"""Elements of dense literals: `dense<[1.0, 0x7F800000]> : tensor<2xf32>` has an infinity.

xDSL takes the bits of a float for its value, although its printer writes infinities and NaN so.
"""

from __future__ import annotations

from typing import Any, cast

from xdsl.dialects.builtin import AnyFloat
from xdsl.parser import AttrParser, Parser

from .literals import bare_number

_Element = AttrParser._TensorLiteralElement  # pyright: ignore[reportPrivateUsage]


class _Bits(_Element):
    """A number in hexadecimal: of integers the value, of floats the bits."""

    def to_type(self, parser: AttrParser, type: Any) -> Any:
        if not isinstance(type, AnyFloat):
            return super().to_type(parser, type)
        text = self.span.text
        number = None if self.is_negative else bare_number(text, type)
        if number is None:
            parser.raise_error(f"{text} is not the bits of a {type}", at_position=self.span)
        return cast("Any", number).value.data


class DenseParser(Parser):
    """xDSL's parser, which reads floats by their bits too."""

    def _parse_tensor_literal_element(self) -> _Element:
        element = super()._parse_tensor_literal_element()
        if element.span.text.lower().lstrip("-").startswith("0x"):
            return _Bits(element.is_negative, element.value, element.span)
        return element
