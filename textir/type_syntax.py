"""The readable forms of types: `tile<...>`, `buffer<...>`, named extents in tensors.

tile<i: 8, j: 48 lanes, f32>
buffer<8x48xf32, register>      buffer<64x64xf32, (d0, d1) -> (d1 floordiv 16, d0, d1 mod 16)>
tensor<[batch]x[2 * seq]x3xf32, layout (d0, d1, d2) -> (d0, d2, d1)>
"""

from __future__ import annotations

import re
from typing import Any, cast

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AffineMapAttr,
    ArrayAttr,
    BytesAttr,
    DenseArrayBase,
    FusedLoc,
    IntegerAttr,
    LocationAttr,
    NoneAttr,
    StringAttr,
    TensorType,
    UnrankedTensorType,
)
from xdsl.ir import Attribute, TypeAttribute
from xdsl.utils.mlir_lexer import MLIRTokenKind

from ..core.irtypes import int_attr
from .dense_syntax import DenseParser

_NAMED_DIM = re.compile(r"(?:(?:[0-9]+|\?)x)*\[")
_LAYOUT = re.compile(r"(?:[^<>,]|<[^<>]*>)*,\s*layout\s*\(")
_DIM = re.compile(r"\[([^\[\]]*)\]")
_HEX = re.compile(r'<\s*"')


class TypeParser(DenseParser):
    """xDSL's attribute parser, with our forms of types added."""

    def at_end(self) -> None:
        """Raises: ParseError: something is left."""
        if self._current_token.kind != MLIRTokenKind.EOF:
            self.raise_error(f"unexpected '{self._current_token.text}'")

    def _parse_optional_builtin_parametrized_type(self) -> TypeAttribute | None:
        if self._current_token.kind == MLIRTokenKind.BARE_IDENT:
            match self._current_token.text:
                case "tile":
                    return self._parse_tile()
                case "buffer":
                    return self._parse_buffer()
                case _:
                    pass
        return super()._parse_optional_builtin_parametrized_type()

    def _parse_tile(self) -> TypeAttribute:
        from ..dialects.loop import TileAxisAttr, TileType

        self._consume_token()
        self.parse_punctuation("<")
        axes: list[TileAxisAttr] = []
        while True:
            mark = self._current_token.span.start
            name = self.parse_optional_identifier_or_str_literal()
            if name is None or self.parse_optional_punctuation(":") is None:
                self._resume_from(mark)
                break
            size = self.parse_integer(allow_boolean=False)
            place = self.parse_optional_keyword("lanes") or "reg"
            axes.append(TileAxisAttr.get(name, size, place))
            self.parse_punctuation(",")
        element = self.parse_type()
        self.parse_punctuation(">")
        return TileType.get(axes, element)

    def _parse_buffer(self) -> TypeAttribute:
        from ..dialects.loop import BufferType

        self._consume_token()
        self.parse_punctuation("<")
        shape, element = self.parse_ranked_shape()
        space = "global"
        layout: AffineMapAttr | None = None
        while self.parse_optional_punctuation(",") is not None:
            if self._current_token.kind == MLIRTokenKind.L_PAREN:
                layout = AffineMapAttr(self.parse_affine_map())
            else:
                space = self.parse_identifier()
        self.parse_punctuation(">")
        return BufferType.get(shape, element, space, layout.data if layout else None)

    def _parse_tensor_attrs(self) -> TensorType | UnrankedTensorType:
        content, start = self.lexer.input.content, self._current_token.span.start
        if _NAMED_DIM.match(content, start) or _LAYOUT.match(content, start):
            return self._parse_named_tensor()
        return super()._parse_tensor_attrs()

    def _parse_named_tensor(self) -> TensorType | UnrankedTensorType:
        entries: list[StringAttr | IntegerAttr] = []
        shape: list[int] = []
        while True:
            named = self._parse_optional_dim(entries, shape)
            if not named:
                break
            self.parse_shape_delimiter()
        element = self.parse_type()
        layout: Attribute = NoneAttr()
        if self.parse_optional_punctuation(",") is not None:
            self.parse_keyword("layout")
            layout = AffineMapAttr(self.parse_affine_map())
        elif not any(isinstance(entry, StringAttr) and entry.data != "?" for entry in entries):
            return TensorType(element, shape)
        from ..dialects.graph.types import EncodingAttr

        return TensorType(element, shape, EncodingAttr(ArrayAttr(entries), layout))

    def _parse_optional_dim(
        self, entries: list[StringAttr | IntegerAttr], shape: list[int]
    ) -> bool:
        token = self._current_token
        if token.kind == MLIRTokenKind.L_SQUARE:
            found = _DIM.match(self.lexer.input.content, token.span.start)
            if found is None:
                self.raise_error("expected the name of an extent in '[...]'")
            entries.append(StringAttr(found[1].strip()))
            shape.append(DYNAMIC_INDEX)
            self._resume_from(found.end())
            return True
        if token.kind not in (MLIRTokenKind.INTEGER_LIT, MLIRTokenKind.QUESTION):
            return False
        size = self.parse_shape_dimension()
        entries.append(StringAttr("?") if size == DYNAMIC_INDEX else int_attr(size))
        shape.append(size)
        return True

    def parse_optional_str_literal(self) -> str | None:
        """A string; one with raw characters beyond ASCII and escapes is a string as well."""
        token = self._current_token
        if token.kind == MLIRTokenKind.BYTES_LIT and not token.text.isascii():
            self._consume_token()
            from .attributes import unescape

            return unescape(token.text[1:-1])
        return super().parse_optional_str_literal()

    def _parse_builtin_densearray_attr(self) -> DenseArrayBase | None:
        mark = self._current_token.span.start
        found = re.compile(r"<\s*(\w+)\s*:\s*\"0x([0-9A-Fa-f]*)\"\s*>").match(
            self.lexer.input.content, mark
        )
        if found is None:
            return super()._parse_builtin_densearray_attr()
        self.parse_punctuation("<")
        element = cast("Any", self.parse_type())
        self._resume_from(found.end())
        return DenseArrayBase(element, BytesAttr(bytes.fromhex(found[2])))

    def _parse_location(self) -> LocationAttr:
        mark = self._current_token.span.start
        if self.parse_optional_keyword("fused") is None:
            return super()._parse_location()
        if self.parse_optional_punctuation("<") is None:
            self._resume_from(mark)
            return super()._parse_location()
        metadata = self.parse_attribute()
        self.parse_punctuation(">")
        parts = self.parse_comma_separated_list(self.Delimiter.SQUARE, self._parse_location)
        return FusedLoc(tuple(parts), metadata)
