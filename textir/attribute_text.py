"""Attributes and types as text; each is written once."""

from __future__ import annotations

import re
from io import StringIO
from math import isfinite, prod
from typing import Any, cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    AnyFloat,
    ArrayAttr,
    BytesAttr,
    CallSiteLoc,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FileLineColLoc,
    FloatAttr,
    FunctionType,
    FusedLoc,
    IndexType,
    IntegerAttr,
    IntegerType,
    NameLoc,
    NoneAttr,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    UnitAttr,
    UnknownLoc,
    UnrankedTensorType,
    i1,
    i64,
)
from xdsl.ir import (
    Attribute,
    BuiltinAttribute,
    OpaqueSyntaxAttribute,
    ParametrizedAttribute,
    TypeAttribute,
)
from xdsl.printer import Printer

from .index_text import map_text
from .literals import float_text, list_text, number_text

IDENTIFIER = re.compile(r"[A-Za-z_][\w$]*(?:\.[\w$]+)*", re.ASCII)
_KEY = re.compile(r"[A-Za-z_][\w$.]*", re.ASCII)
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"\\]*")
_DIM = re.compile(r"[^\[\]<>\"{}\n]+")
ELIDED = "dense_resource<__elided__>"
HEX_FROM = 100
"""Dense literals with more elements are written in hexadecimal."""


def quoted(text: str) -> str:
    """A string literal; characters beyond ASCII stay as they are."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    escaped = (
        f"\\{ord(c):02X}" if ord(c) < 0x20 or ord(c) == 0x7F or c in '"\\' else c for c in text
    )
    return f'"{"".join(escaped)}"'


def symbol_text(name: str) -> str:
    """`@name`."""
    return f"@{name}" if _KEY.fullmatch(name) else f"@{quoted(name)}"


def key_text(name: str) -> str:
    """The name of an attribute."""
    return name if _KEY.fullmatch(name) else quoted(name)


class AttributeText:
    """Writes attributes.

    Args:
        pretty: with our forms of types; otherwise as MLIR writes them.
        elide: dense literals with more elements are left out.
        elide_strings: dense literals with more characters in hexadecimal are left out.
        hex_from: dense literals with more elements are written in hexadecimal, none for -1.
        pretty_locations: locations for people, which cannot be read again.
    """

    def __init__(
        self,
        *,
        pretty: bool,
        elide: int | None = None,
        elide_strings: int | None = None,
        hex_from: int | None = None,
        pretty_locations: bool = False,
    ):
        self._pretty = pretty
        self._elide = elide
        self._elide_strings = elide_strings
        self._hex_from = HEX_FROM if hex_from is None else hex_from
        self._pretty_locations = pretty_locations
        self._memo: dict[int, str] = {}
        self._kept: list[Attribute] = []

    def of(self, attribute: Attribute) -> str:
        """The text of any attribute or type."""
        known = self._memo.get(id(attribute))
        if known is None:
            known = self._memo[id(attribute)] = self._write(attribute)
            self._kept.append(attribute)
        return known

    def many(self, attributes: Any) -> str:
        """A list without brackets."""
        return ", ".join([self.of(attribute) for attribute in attributes])

    def dictionary(self, entries: dict[str, Attribute]) -> str:
        """`{a = 1, b}`."""
        return f"{{{', '.join(self.entry(name, value) for name, value in entries.items())}}}"

    def entry(self, name: str, value: Attribute) -> str:
        """`a = 1`."""
        if isinstance(value, UnitAttr):
            return key_text(name)
        return f"{key_text(name)} = {self.of(value)}"

    def signature(self, inputs: Any, outputs: Any) -> str:
        """`(f32) -> f32`."""
        return f"({self.many(inputs)}) -> {self.returns(outputs)}"

    def returns(self, outputs: Any) -> str:
        """`f32` or `(f32, i32)`."""
        outputs = list(outputs)
        if len(outputs) == 1 and not isinstance(outputs[0], FunctionType):
            return self.of(outputs[0])
        return f"({self.many(outputs)})"

    def _write(self, attribute: Attribute) -> str:
        match attribute:
            case IntegerAttr():
                return self._integer(cast("IntegerAttr[Any]", attribute))
            case FloatAttr():
                value = cast("FloatAttr[Any]", attribute)
                return f"{number_text(value)} : {self.of(value.type)}"
            case StringAttr():
                return quoted(attribute.data)
            case ArrayAttr():
                return f"[{self.many(cast('ArrayAttr[Any]', attribute).data)}]"
            case DictionaryAttr():
                return self.dictionary(dict(attribute.data))
            case SymbolRefAttr():
                parts = [attribute.root_reference, *attribute.nested_references.data]
                return "::".join(symbol_text(part.data) for part in parts)
            case _:
                return self._write_more(attribute)

    def _write_more(self, attribute: Attribute) -> str:
        match attribute:
            case DenseIntOrFPElementsAttr():
                dense = cast("DenseIntOrFPElementsAttr[Any]", attribute)
                return f"{self.dense(dense)} : {self.of(dense.type)}"
            case DenseArrayBase():
                return self._array(cast("DenseArrayBase[Any]", attribute))
            case AffineMapAttr() if self._pretty:
                return f"affine_map<{map_text(attribute.data)}>"
            case FileLineColLoc() | NameLoc() | CallSiteLoc() | FusedLoc() | UnknownLoc():
                if self._pretty_locations:
                    return pretty_location(attribute)
                return f"loc({self._location(attribute)})"
            case TypeAttribute():
                return self._type(attribute)
            case _:
                return self._other(attribute)

    def _location(self, location: Attribute) -> str:
        match location:
            case FileLineColLoc():
                name = quoted(location.filename.data)
                return f"{name}:{location.line.data}:{location.column.data}"
            case NameLoc():
                inner = location.location
                behind = "" if isinstance(inner, NoneAttr) else f"({self._location(inner)})"
                return f"{quoted(location.desc.data)}{behind}"
            case CallSiteLoc():
                callee, caller = location.callee, location.caller
                return f"callsite({self._location(callee)} at {self._location(caller)})"
            case FusedLoc():
                metadata = location.metadata
                about = "" if isinstance(metadata, NoneAttr) else f"<{self.of(metadata)}>"
                parts = cast("ArrayAttr[Attribute]", location.locations).data
                return f"fused{about}[{', '.join(self._location(part) for part in parts)}]"
            case _:
                return "unknown"

    def _integer(self, value: IntegerAttr[Any]) -> str:
        number = number_text(value)
        assert number is not None
        if value.type == i1 or (self._pretty and value.type == i64):
            return number
        return f"{number} : {self.of(value.type)}"

    def _array(self, value: DenseArrayBase[Any]) -> str:
        element: Attribute = value.elt_type
        text = self.of(element)
        values = list(value.iter_values())
        if not values:
            return f"array<{text}>"
        if isinstance(element, AnyFloat) and not all(isfinite(v) for v in values):
            return f'array<{text}: "0x{value.data.data.hex().upper()}">'
        return f"array<{text}: {list_text(values, element)[1:-1]}>"

    def dense(self, value: DenseIntOrFPElementsAttr[Any]) -> str:
        """`dense<...>` without its type."""
        element: Attribute = value.get_element_type()
        count = prod(value.get_shape())
        if self._elide is not None and count > self._elide:
            return ELIDED
        raw: bytes = value.data.data
        if not raw:
            return "dense<>"
        is_number = _is_number(element)
        values: list[Any] = list(cast("Any", value).get_values()) if is_number else []
        is_splat = count > 1 and raw == raw[: len(raw) // count] * count
        plain = is_number and all(isinstance(v, int) or isfinite(v) for v in values)
        if element == i1 and any(byte not in (0x00, 0xFF) for byte in raw):
            plain = False
        is_long = 0 <= self._hex_from < count and not is_splat and element != i1
        if not plain or is_long:
            if self._elide_strings is not None and 2 * len(raw) > self._elide_strings:
                return ELIDED
            return f'dense<"0x{raw.hex().upper()}">'
        shape = value.get_shape()
        if is_splat or not shape:
            return f"dense<{list_text(values[:1], element)[1:-1]}>"
        return f"dense<{_nested(values, shape, element)}>"

    def _type(self, type_: Attribute) -> str:
        from ..dialects.loop.types import BufferType, TileType

        if isinstance(type_, FunctionType):
            return self.signature(type_.inputs.data, type_.outputs.data)
        if isinstance(type_, TensorType):
            return self._tensor(cast("TensorType[Any]", type_))
        if isinstance(type_, UnrankedTensorType):
            return f"tensor<*x{self.of(cast('UnrankedTensorType[Any]', type_).element_type)}>"
        if self._pretty and isinstance(type_, TileType):
            return self._tile(type_) or self._other(type_)
        if self._pretty and isinstance(type_, BufferType):
            return self._buffer(type_) or self._other(type_)
        return self._other(type_)

    def _tile(self, type_: Any) -> str | None:
        parts: list[str] = []
        for axis in type_.axes:
            if axis.size.type != i64 or IDENTIFIER.fullmatch(axis.label) is None:
                return None
            parts.append(f"{axis.label}: {axis.extent}{' lanes' if axis.is_lanes else ''}")
        return f"tile<{', '.join([*parts, self.of(type_.element_type)])}>"

    def _buffer(self, type_: Any) -> str | None:
        if any(extent.type != i64 or extent.value.data < 0 for extent in type_.shape):
            return None
        text = "x".join([*(str(e) for e in type_.extents), self.of(type_.element_type)])
        if type_.space.data != "global":
            text += f", {type_.space.data}"
        if not isinstance(type_.layout, NoneAttr):
            text += f", {map_text(type_.layout.data)}"
        return f"buffer<{text}>"

    def _tensor(self, type_: TensorType[Any]) -> str:
        element = self.of(type_.element_type)
        if isinstance(type_.encoding, NoneAttr):
            dims = "".join(f"{'?' if size < 0 else size}x" for size in type_.get_shape())
            return f"tensor<{dims}{element}>"
        if self._pretty and (named := self._named_tensor(type_, element)) is not None:
            return named
        dims = "".join(f"{'?' if size < 0 else size}x" for size in type_.get_shape())
        return f"tensor<{dims}{element}, {self._other(type_.encoding)}>"

    def _named_tensor(self, type_: TensorType[Any], element: str) -> str | None:
        from ..dialects.graph.types import EncodingAttr

        encoding = type_.encoding
        if not isinstance(encoding, EncodingAttr) or len(encoding.dims) != len(type_.shape):
            return None
        dims: list[str] = []
        is_named = False
        for size, entry in zip(type_.get_shape(), encoding.dims, strict=True):
            if isinstance(entry, IntegerAttr):
                if cast("IntegerAttr[Any]", entry) != IntegerAttr(size, i64) or size < 0:
                    return None
                dims.append(str(size))
            elif size >= 0:
                return None
            elif entry.data == "?":
                dims.append("?")
            elif _DIM.fullmatch(entry.data) and entry.data == entry.data.strip():
                dims.append(f"[{entry.data}]")
                is_named = True
            else:
                return None
        has_layout = not isinstance(encoding.layout, NoneAttr)
        if not is_named and not has_layout:
            return None
        layout = f", layout {map_text(encoding.layout.data)}" if has_layout else ""  # pyright: ignore
        return f"tensor<{''.join(f'{dim}x' for dim in dims)}{element}{layout}>"

    def _other(self, attribute: Attribute) -> str:
        if (
            isinstance(attribute, ParametrizedAttribute)
            and not isinstance(attribute, BuiltinAttribute | OpaqueSyntaxAttribute)
            and type(attribute).print_parameters is ParametrizedAttribute.print_parameters
        ):
            mark = "!" if isinstance(attribute, TypeAttribute) else "#"
            inner = self.many(attribute.parameters)
            return f"{mark}{attribute.name}<{inner}>" if inner else f"{mark}{attribute.name}"
        stream = StringIO()
        Printer(stream).print_attribute(attribute)
        return stream.getvalue()


def pretty_location(location: Attribute) -> str:
    """A location for people, in MLIR's manner: `net.nn:3:5`, `"Conv_4"`, `[a, b]`."""
    match location:
        case FileLineColLoc():
            return f"{location.filename.data}:{location.line.data}:{location.column.data}"
        case NameLoc():
            inner = location.location
            behind = "" if isinstance(inner, NoneAttr) else f"({pretty_location(inner)})"
            return f"{quoted(location.desc.data)}{behind}"
        case CallSiteLoc():
            return f"{pretty_location(location.callee)} at {pretty_location(location.caller)}"
        case FusedLoc():
            parts = cast("ArrayAttr[Attribute]", location.locations).data
            return f"[{', '.join(map(pretty_location, parts))}]"
        case _:
            return "[unknown]"


def _is_number(element: Attribute) -> bool:
    return isinstance(element, IntegerType | IndexType | AnyFloat)


def _nested(values: list[Any], shape: tuple[int, ...], element: Attribute) -> str:
    texts = list_text(values, element)[1:-1].split(", ")
    for size in reversed(shape):
        texts = [f"[{', '.join(texts[at : at + size])}]" for at in range(0, len(texts), size)]
    return texts[0]


__all__ = ["AttributeText", "BytesAttr", "float_text", "key_text", "quoted", "symbol_text"]
