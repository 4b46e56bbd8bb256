"""Where a type, an attribute or a bracketed text ends: one regular expression at a time.

The parser takes such a stretch as one token; its content is read by `attributes.py`, once for each
spelling.
"""

from __future__ import annotations

import re

from .errors import Malformed

NAME = r"[A-Za-z_][\w$]*(?:\.[\w$]+)*"
VALUE_NAME = r"%(?:[0-9]+|[A-Za-z$._-][\w$.-]*)"
_USE = rf"{VALUE_NAME}(?:#[0-9]+)?"
_PLAIN_TYPE = r"[!A-Za-z_][\w$.]*(?:<[^<>\"-]*>)?(?![<\w.$])"
_TYPE_LIST = rf"{_PLAIN_TYPE}(?:\s*,\s*{_PLAIN_TYPE})*"

MAX_BRACKETS = 200
"""How deep brackets may nest inside one attribute or type."""

_NEXT_OP = (
    rf"\n[ \t]*(?:{VALUE_NAME}(?::[0-9]+)?\s*(?:=(?!=)|,\s*%)"
    r'|"[\w$.]+"[ \t]*\(|[A-Za-z_]\w*\.[\w$.]+(?:\(|[ \t]+[%@]))'
)
"""A line that begins an op: no attribute or type goes on there."""
_OP_LINE = re.compile(_NEXT_OP)
_BRACKET = re.compile(rf'->|>=|<=|==|//[^\n]*|"(?:[^"\\\n]|\\.)*"|[<>(){{}}\[\]"]|{_NEXT_OP}')
_PARTNER = {">": "<", ")": "(", "]": "[", "}": "{"}
_NAME = re.compile(r"[!#]?[A-Za-z_][\w$.]*")
_NUMBER = re.compile(r"-?(?:0x[0-9A-Fa-f]+|[0-9]+(?:\.[0-9]*(?:[eE][+-]?[0-9]+)?)?)")
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_SYMBOL = re.compile(r'@(?:[A-Za-z_][\w$.]*|"(?:[^"\\\n]|\\.)*")')
SPACE = re.compile(r"(?:\s+|//[^\n]*)*")
_ARROW = re.compile(r"\s*->\s*")
_WORD = re.compile(r"[A-Za-z_$][\w$.]*(?:-[\w$.]+)*")

RESULTS = re.compile(rf"{VALUE_NAME}(?::[0-9]+)?(?:\s*,\s*{VALUE_NAME}(?::[0-9]+)?)*\s*=(?!=)")
OPERANDS = re.compile(rf"\(\s*(?:{_USE}(?:\s*,\s*{_USE})*)?\s*\)")
VALUES = re.compile(rf"{_USE}(?:\s*,\s*{_USE})*")
USE = re.compile(_USE)
_ENTRIES = (
    r'\{(?:[^{}"<>()\[\]/]++|"(?:[^"\\\n]|\\.)*+"|\[[^{}"<>()\[\]/]*+\]|<[^{}"<>()\[\]/-]*+>)*+\}'
)
_PLAIN_DICTIONARY = re.compile(_ENTRIES)
_PLAIN_PROPERTIES = re.compile(rf"<\s*({_ENTRIES})\s*>")
_PLAIN_SIGNATURE = re.compile(
    rf":\s*(\((?:{_TYPE_LIST})?\)\s*->\s*(?:{_PLAIN_TYPE}|\((?:{_TYPE_LIST})?\)))"
)
_PLAIN_TYPES = re.compile(rf":\s*({_TYPE_LIST})")
_PLAIN_ONE = re.compile(rf":\s*({_PLAIN_TYPE})")

Found = tuple[int, str] | None
"""Where the token ends, and its text; None where there is no such token."""


def skip_space(text: str, position: int) -> int:
    """Past white space and comments."""
    found = SPACE.match(text, position)
    assert found is not None
    return found.end()


def balanced(text: str, start: int) -> int:
    """Past the bracket that closes the one at `start`.

    Raises: Malformed: it is not closed, or closed by another kind.
    """
    # What stands behind the first bracket does not make another mark of it: `tensor<=`.
    open_brackets = [(text[start], start)]
    for found in _BRACKET.finditer(text, start + 1):
        mark = found.group()
        if mark in "<({[":
            open_brackets.append((mark, found.start()))
            if len(open_brackets) > MAX_BRACKETS:
                raise Malformed(
                    found.start(), f"brackets nest deeper than {MAX_BRACKETS} in an attribute"
                )
        elif mark == '"':
            raise Malformed(found.start(), "the string is not terminated")
        elif mark[0] == "\n":
            break
        elif mark in _PARTNER:
            bracket, opened = open_brackets.pop()
            if bracket != _PARTNER[mark]:
                if "\n" in text[opened : found.start()]:
                    raise Malformed(opened, f"'{bracket}' is never closed")
                raise Malformed(found.start(), f"'{mark}' does not close '{bracket}'")
            if not open_brackets:
                return found.end()
    raise Malformed(open_brackets[-1][1], f"'{open_brackets[-1][0]}' is never closed")


def one_type(text: str, position: int) -> int:
    """Past the type at `position`; a function type is one.

    Raises: Malformed: there is none.
    """
    if text.startswith("(", position):
        arrow = _ARROW.match(text, balanced(text, position))
        if arrow is None:
            raise Malformed(position, "expected '->' after the inputs of a function type")
        return type_or_list(text, arrow.end())
    name = _NAME.match(text, position)
    if name is None or name.group()[0] == "#":
        raise Malformed(position, "expected a type")
    return balanced(text, name.end()) if text.startswith("<", name.end()) else name.end()


def type_or_list(text: str, position: int) -> int:
    """Past one type or a list of types in parentheses."""
    if not text.startswith("(", position):
        return one_type(text, position)
    end = balanced(text, position)
    arrow = _ARROW.match(text, end)
    return end if arrow is None else type_or_list(text, arrow.end())


def type_list(text: str, position: int) -> int:
    """Past one or more types between commas."""
    while True:
        end = one_type(text, position)
        following = skip_space(text, end)
        if not text.startswith(",", following):
            return end
        position = skip_space(text, following + 1)


def signature(text: str, position: int) -> Found:
    """`: (i32) -> i32`."""
    if found := _PLAIN_SIGNATURE.match(text, position):
        return found.end(), found[1]
    start = skip_space(text, position + 1)
    if not text.startswith("(", start):
        raise Malformed(start, "expected the types of operands and results: '(...) -> ...'")
    end = one_type(text, start)
    return end, text[start:end]


def types(text: str, position: int) -> Found:
    """`: f32, i32`."""
    found = _PLAIN_TYPES.match(text, position)
    if found and not text.startswith(",", skip_space(text, found.end())):
        return found.end(), found[1]
    start = skip_space(text, position + 1)
    end = type_list(text, start)
    return end, text[start:end]


def single_type(text: str, position: int) -> Found:
    """`: f32`."""
    if found := _PLAIN_ONE.match(text, position):
        return found.end(), found[1]
    start = skip_space(text, position + 1)
    end = one_type(text, start)
    return end, text[start:end]


def bare_type(text: str, position: int) -> Found:
    """`f32`, where a type is all that can stand."""
    end = one_type(text, position)
    return end, text[position:end]


def bare_types(text: str, position: int) -> Found:
    """`f32, i32`."""
    end = type_list(text, position)
    return end, text[position:end]


def returns(text: str, position: int) -> Found:
    """`-> f32` or `-> (f32, i32)`."""
    if not text.startswith("->", position):
        return None
    start = skip_space(text, position + 2)
    end = type_or_list(text, start)
    return end, text[start:end]


def dictionary(text: str, position: int) -> Found:
    """`{a = 1, "b c" = 2}`."""
    if found := _PLAIN_DICTIONARY.match(text, position):
        if "\n" in found.group() and _OP_LINE.search(text, position, found.end()):
            raise Malformed(position, "'{' is never closed")
        return found.end(), found.group()
    end = balanced(text, position)
    return end, text[position:end]


_ENTRY = re.compile(r'\{\s*(?:[A-Za-z_][\w$.]*\s*(?:=(?!=)|,|\})|"(?:[^"\\\n]|\\.)*"\s*[=,}])')


def dictionary_before_region(text: str, position: int) -> Found:
    """A dictionary where a region may stand as well: its first entry tells."""
    return dictionary(text, position) if _ENTRY.match(text, position) else None


def properties(text: str, position: int) -> Found:
    """`<{a = 1}>`: the dictionary in it."""
    if found := _PLAIN_PROPERTIES.match(text, position):
        return found.end(), found[1]
    start = skip_space(text, position + 1)
    if not text.startswith("{", start):
        return None
    end = balanced(text, position)
    closing = text.rfind("}", start, end)
    return end, text[start : closing + 1]


def bracketed(text: str, position: int) -> Found:
    """`[1, 2]`."""
    end = balanced(text, position)
    return end, text[position:end]


def value(text: str, position: int) -> Found:
    """An attribute without its type: a number, `dense<...>`, `#a.b<...>`, `[...]`, a string."""
    if found := _NUMBER.match(text, position) or _STRING.match(text, position):
        return found.end(), found.group()
    if text[position : position + 1] in ("(", "[", "{"):
        return bracketed(text, position)
    found = _SYMBOL.match(text, position) or _NAME.match(text, position)
    if found is None:
        return None
    end = found.end()
    while (follow := _SYMBOL.match(text, end + 2)) and text.startswith("::", end):
        end = follow.end()
    if text.startswith("<", end):
        end = balanced(text, end)
    return end, text[position:end]


def argument(text: str, position: int) -> Found:
    """An argument of a schedule primitive: a word, a number, a string, a list, a map."""
    if found := _WORD.match(text, position):
        if text.startswith("<", found.end()):
            return value(text, position)
        return found.end(), found.group()
    if text.startswith("(", position):
        arrow = _ARROW.match(text, balanced(text, position))
        if arrow is None or not text.startswith("(", arrow.end()):
            return None
        end = balanced(text, arrow.end())
        return end, text[position:end]
    return value(text, position)


def affine_map(text: str, position: int) -> Found:
    """`affine_map<(d0) -> (d0)>`."""
    if not text.startswith("affine_map<", position):
        return None
    end = balanced(text, position + len("affine_map"))
    return end, text[position:end]


def location(text: str, position: int) -> Found:
    """`loc("file":1:2)`."""
    if not text.startswith("loc(", position):
        return None
    end = balanced(text, position + 3)
    return end, text[position:end]
