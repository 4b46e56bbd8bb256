"""Attributes and types from their text: each spelling is read once.

What is common is read here (numbers, strings, dictionaries of them); the rest xDSL's attribute
parser reads, with our own types added to it (`type_syntax.py`).
"""

from __future__ import annotations

import re
from functools import cache

from xdsl.context import Context
from xdsl.dialects.builtin import (
    FunctionType,
    IndexType,
    IntegerType,
    LocationAttr,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import Attribute
from xdsl.utils.exceptions import ParseError, UnregisteredConstructException, VerifyException

from ..core.errors import did_you_mean
from . import scan
from .errors import NOWHERE, Malformed
from .fastir import integer
from .type_syntax import TypeParser

Types = tuple[Attribute, ...]
Entry = tuple[str, str | None, int]
"""A name, the text of its value (None for a unit), and where that stands."""

_INTEGER = re.compile(r"(-?[0-9]+)(?:\s*:\s*(i[0-9]+|index))?")
_STRING = re.compile(r'"([^"\\]*)"')
_KEY = re.compile(r'\s*(?:([A-Za-z_][\w$.]*)|"((?:[^"\\\n]|\\.)*)")\s*(=)?\s*')
_STOP = re.compile(r'->|>=|<=|==|//[^\n]*|"(?:[^"\\\n]|\\.)*"|[<({\[,]|\}')
_PLAIN_STOP = re.compile(r'[^<({\["/,}]*([,}])')
_WORD = re.compile(r"[A-Za-z_][\w.$]*")
_BYTE = re.compile(r"[0-9A-Fa-f]{2}")
_INDEX = IndexType()


class AttributeReader:
    """Reads attributes of one context, with a memo by text."""

    def __init__(self, context: Context):
        self.context = context
        self._types: dict[str, Types] = {}
        self._signatures: dict[str, tuple[Types, Types]] = {}
        self._dictionaries: dict[str, dict[str, Attribute]] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._attributes: dict[str, Attribute] = {}
        self._locations: dict[str, LocationAttr] = {}

    def types(self, text: str, position: int) -> Types:
        """`f32, i32`."""
        known = self._types.get(text)
        if known is None:
            parser = self._parser(text)
            with _Border(parser, text, position):
                read = parser.parse_comma_separated_list(parser.Delimiter.NONE, parser.parse_type)
                parser.at_end()
            known = self._types[text] = tuple(read)
        return known

    def type(self, text: str, position: int) -> Attribute:
        """`f32`."""
        return self.types(text, position)[0]

    def results(self, text: str, position: int) -> Types:
        """`f32` or `(f32, i32)`: the right side of an arrow."""
        key = f"->{text}"
        known = self._types.get(key)
        if known is None:
            known = self._types[key] = self.signature(f"() -> {text}", position - 6)[1]
        return known

    def signature(self, text: str, position: int) -> tuple[Types, Types]:
        """`(f32) -> (f32, i32)`."""
        known = self._signatures.get(text)
        if known is None:
            parser = self._parser(text)
            with _Border(parser, text, position):
                read: FunctionType = parser.parse_function_type()
                parser.at_end()
            known = self._signatures[text] = (read.inputs.data, read.outputs.data)
        return known

    def attribute(self, text: str, position: int) -> Attribute:
        """Any attribute or type."""
        known = self._attributes.get(text)
        if known is None:
            known = self._attributes[text] = self._simple(text) or self._any(text, position)
        return known

    def _simple(self, text: str) -> Attribute | None:
        if found := _INTEGER.fullmatch(text):
            type_ = i64 if found[2] is None else self._integer_type(found[2])
            try:
                return integer(int(found[1]), type_)
            except VerifyException:
                return None
        if found := _STRING.fullmatch(text):
            return StringAttr(found[1])
        return None

    @staticmethod
    def _integer_type(text: str) -> IntegerType | IndexType:
        return _INDEX if text == "index" else _integer_type(int(text[1:]))

    def _any(self, text: str, position: int) -> Attribute:
        parser = self._parser(text)
        with _Border(parser, text, position):
            read = parser.parse_attribute()
            parser.at_end()
        return read

    def location(self, text: str, position: int) -> LocationAttr:
        """`loc(...)`."""
        known = self._locations.get(text)
        if known is None:
            parser = self._parser(text)
            with _Border(parser, text, position):
                known = parser.parse_optional_location()
                parser.at_end()
            assert known is not None
            self._locations[text] = known
        return known

    def dictionary(self, text: str, position: int) -> dict[str, Attribute]:
        """`{a = 1, b}`; the caller may change the result."""
        known = self._dictionaries.get(text)
        if known is None:
            known = self._dictionaries[text] = {
                name: UnitAttr() if value is None else self.attribute(value, position + where)
                for name, value, where in self.entries(text, position)
            }
        return dict(known)

    def entries(self, text: str, position: int) -> list[Entry]:
        """The entries of a dictionary, unread; offsets count from its start.

        Raises: Malformed: no dictionary, or a name twice.
        """
        known = self._entries.get(text)
        if known is None:
            known = self._entries[text] = _split(text, position)
        return known

    def _parser(self, text: str) -> TypeParser:
        try:
            return TypeParser(self.context, text)
        except ParseError as error:
            raise Malformed(NOWHERE, error.msg) from None


@cache
def _integer_type(width: int) -> IntegerType:
    return IntegerType(width)


def _split(text: str, position: int) -> list[Entry]:
    entries: list[Entry] = []
    seen: set[str] = set()
    at = scan.skip_space(text, 1)
    while not text.startswith("}", at):
        key = _KEY.match(text, at)
        if key is None:
            raise Malformed(position + at, "expected the name of an attribute")
        name = key[1] if key[1] is not None else unescape(key[2])
        if name in seen:
            raise Malformed(position + at, f"attribute '{name}' is given twice")
        seen.add(name)
        at = key.end()
        end = _end_of_value(text, at)
        if (key[3] is None) != (not text[at:end].strip()):
            raise Malformed(position + at, f"expected '{name} = value'")
        entries.append((name, text[at:end].rstrip() if key[3] else None, at))
        at = scan.skip_space(text, end + 1) if text.startswith(",", end) else end
    return entries


def _end_of_value(text: str, position: int) -> int:
    if found := _PLAIN_STOP.match(text, position):
        return found.start(1)
    while True:
        found = _STOP.search(text, position)
        assert found is not None
        if found.group() in (",", "}"):
            return found.start()
        opens = found.group() in "<({["
        position = scan.balanced(text, found.start()) if opens else found.end()


def unescape(text: str) -> str:
    """The content of a string literal without its quotes.

    Raises: Malformed: an escape that stands for nothing.
    """
    if "\\" not in text:
        return text
    plain = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}
    out = bytearray()
    at = 0
    while (slash := text.find("\\", at)) >= 0:
        out += text[at:slash].encode()
        code = text[slash + 1]
        if code in plain:
            out += plain[code].encode()
            at = slash + 2
        else:
            digits = _BYTE.match(text, slash + 1)
            if digits is None:
                raise Malformed(NOWHERE, f"'\\{code}' in a string stands for nothing")
            out.append(int(digits.group(), 16))
            at = slash + 3
    try:
        return (out + text[at:].encode()).decode()
    except UnicodeDecodeError:
        raise Malformed(NOWHERE, "the bytes of a string are no UTF-8") from None


class _Border:
    """Turns what xDSL's parser and verifiers raise into an error at an offset of the whole text."""

    def __init__(self, parser: TypeParser, text: str, position: int):
        self._parser = parser
        self._text = text
        self._position = position

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Malformed):
            return
        where = self._position
        if isinstance(error, ParseError):
            at, message = error.span.start, self._message(error)
            raise Malformed(where + at, message, self._hint(message)) from None
        if isinstance(error, RecursionError):
            raise Malformed(where, "brackets nest too deeply in an attribute") from None
        if (
            isinstance(
                error, VerifyException | ValueError | OverflowError | UnregisteredConstructException
            )
            or type(error).__name__ == "error"
        ):
            raise Malformed(where, str(error)) from None
        if isinstance(error, AssertionError | TypeError | NotImplementedError | KeyError):
            raise Malformed(where, f"'{self._text[:60]}' is no valid attribute") from None

    def _message(self, error: ParseError) -> str:
        """Of a word that xDSL does not know, it says what it expected: here the word, too."""
        message = error.msg
        word = _WORD.match(self._text, error.span.start)
        if word is None or "xpected" not in message or "got" in message:
            return message
        return f"{message.removesuffix('.')}, got '{word.group()}'"

    def _hint(self, message: str) -> str | None:
        found = re.match(r"'([\w.]+)' is not registered", message)
        if found is None:
            return None
        dialect, _, _ = found[1].partition(".")
        context = self._parser.ctx
        if dialect not in context.registered_dialect_names:
            return did_you_mean(dialect, context.registered_dialect_names)
        names = [attribute.name for attribute in context.loaded_attrs]
        return did_you_mean(found[1], [*names, *(type_.name for type_ in context.loaded_types)])
