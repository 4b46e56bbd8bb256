"""Affine expressions over the names of axes and loop variables: `2 * i + kh - 1`, `%io * 8`.

Reading: from the nodes of the grammar. Writing: exact, or None where the tree is not the one that
reading the text would give (xDSL's operators fold as they build).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineConstraintExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
    AffineSet,
    AffineSymExpr,
)
from xdsl.ir.affine.affine_set import AffineConstraintKind

from .errors import Malformed
from .tables import Node

Kind = AffineBinaryOpKind
MAX_DEPTH = 100
"""How deep an expression may nest."""
_WORDS = {Kind.FloorDiv: "floordiv", Kind.CeilDiv: "ceildiv", Kind.Mod: "mod"}


def position_of(node: Node) -> int:
    """Where an expression begins, roughly."""
    parts: list[Any] = [*node[1:]]
    while parts:
        part = parts.pop(0)
        if isinstance(part, tuple):
            if part and isinstance(part[0], int):
                return part[0]
            parts = [*part[1:], *parts]
        elif isinstance(part, list):
            parts = [*part, *parts]
    return 0


class IndexReader:
    """Nodes to affine expressions.

    Args:
        name: an axis by its name, given where it stands.
        value: an SSA value, given its token and whether it stands in parentheses of its own.
        scalar: any other scalar expression, as an opaque index.
    """

    def __init__(
        self,
        name: Callable[[str, int], AffineExpr],
        value: Callable[[Node, bool], AffineExpr],
        scalar: Callable[[Node], AffineExpr] | None = None,
    ):
        self._name = name
        self._value = value
        self._scalar = scalar

    def read(self, node: Node, depth: int = 0) -> AffineExpr:
        """The expression of a node.

        Raises: Malformed: it is not affine.
        """
        if depth > MAX_DEPTH:
            raise Malformed(position_of(node), f"the expression nests deeper than {MAX_DEPTH}")
        match node:
            case ("integer", (_, digits)):
                return AffineConstantExpr(int(digits))
            case ("name", (position, name)):
                return self._name(name, position)
            case ("value", token):
                return self._value(token, False)
            case ("parens", ("value", token)):
                return self._value(token, True)
            case ("parens", inner) if inner[0] not in ("read", "call"):
                return self.read(inner, depth + 1)
            case ("unary", (_, "-"), inner):
                return -self.read(inner, depth + 1)
            case ("binary", left, (position, mark), right):
                return _combine(
                    self.read(left, depth + 1), mark, self.read(right, depth + 1), position
                )
            case _:
                inner = node[1] if node[0] == "parens" else node
                if self._scalar is None or inner[0] not in ("read", "call"):
                    raise Malformed(position_of(node), "expected an affine expression")
                return self._scalar(inner)


def _combine(left: AffineExpr, mark: str, right: AffineExpr, position: int) -> AffineExpr:
    constant = isinstance(right, AffineConstantExpr)
    if mark in ("floordiv", "ceildiv", "mod") and not (constant and right.value > 0):
        raise Malformed(position, f"'{mark}' takes a positive constant on its right")
    match mark:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*" if constant or isinstance(left, AffineConstantExpr):
            return left * right
        case "*":
            raise Malformed(position, "a product in an index is by a constant")
        case "floordiv":
            return left // right
        case "ceildiv":
            return left.ceil_div(right)
        case "mod":
            return left % right
        case _:
            raise Malformed(position, f"'{mark}' is not affine; 'floordiv' and 'mod' are")


def read_constraints(node: Node, reader: IndexReader, depth: int = 0) -> list[Any]:
    """`a >= 0 and b == 0` as constraints."""
    constraints: list[Any] = []
    pending = [node]
    while pending:
        inner = pending.pop()
        match inner:
            case ("conjunction", left, right):
                pending += [right, left]
            case ("binary", left, (_, ">=" | "<=" | "==" as mark), right):
                constraint = AffineConstraintExpr(
                    AffineConstraintKind(mark), reader.read(left), reader.read(right)
                )
                constraints.append(constraint)
            case ("name", (_, "always")):
                pass
            case _:
                raise Malformed(
                    position_of(inner), "expected a condition such as 'i - 3 >= 0 and j == 0'"
                )
    return constraints


# --- writing


@lru_cache(maxsize=4096)
def is_stable(expr: AffineExpr) -> bool:
    """Whether xDSL's operators would build this very tree."""
    return expr.replace_dims_and_symbols((), ()) == expr


def text_of(expr: AffineExpr, dims: Sequence[str], syms: Sequence[str]) -> str:
    """The text of a stable expression over names."""
    if isinstance(expr, AffineConstantExpr):
        return str(expr.value)
    if isinstance(expr, AffineBinaryOpExpr):
        return _binary_text(expr, dims, syms)
    assert isinstance(expr, AffineDimExpr | AffineSymExpr)
    names = dims if isinstance(expr, AffineDimExpr) else syms
    return names[expr.position]


def _binary_text(expr: AffineBinaryOpExpr, dims: Sequence[str], syms: Sequence[str]) -> str:
    left, right = expr.lhs, expr.rhs
    if expr.kind is Kind.Add:
        if (text := _constant_first(left, right, dims, syms)) is not None:
            return text
        head = text_of(left, dims, syms)
        if isinstance(right, AffineConstantExpr) and right.value < 0:
            return f"{head} - {-right.value}"
        if (factor := _factor(right)) is not None and factor < 0:
            assert isinstance(right, AffineBinaryOpExpr)
            tail = _atom(right.lhs, dims, syms)
            return f"{head} - {tail}" if factor == -1 else f"{head} - {-factor} * {tail}"
        tail = text_of(right, dims, syms)
        is_sum = isinstance(right, AffineBinaryOpExpr) and right.kind is Kind.Add
        return f"{head} + ({tail})" if is_sum else f"{head} + {tail}"
    inner = _atom(left, dims, syms)
    if expr.kind is Kind.Mul:
        return f"{text_of(right, dims, syms)} * {inner}"
    return f"{inner} {_WORDS[expr.kind]} {_atom(right, dims, syms)}"


def _constant_first(
    left: AffineExpr, right: AffineExpr, dims: Sequence[str], syms: Sequence[str]
) -> str | None:
    """`100 - 16 * i` for `i * -16 + 100`: the operators put the constant on the right again."""
    factor = _factor(left)
    if factor is None or factor >= 0 or not isinstance(right, AffineConstantExpr):
        return None
    assert isinstance(left, AffineBinaryOpExpr)
    tail = _atom(left.lhs, dims, syms)
    product = tail if factor == -1 else f"{-factor} * {tail}"
    return f"{right.value} - {product}"


def _factor(expr: AffineExpr) -> int | None:
    if (
        isinstance(expr, AffineBinaryOpExpr)
        and expr.kind is Kind.Mul
        and isinstance(expr.rhs, AffineConstantExpr)
    ):
        return expr.rhs.value
    return None


def _atom(expr: AffineExpr, dims: Sequence[str], syms: Sequence[str]) -> str:
    text = text_of(expr, dims, syms)
    if isinstance(expr, AffineBinaryOpExpr) or text.startswith("("):
        return f"({text})"
    return text


def order_of_use(exprs: Sequence[AffineExpr]) -> tuple[list[int], list[int]]:
    """Positions of dimensions and of symbols, each in the order the text first names them.

    `text_of` writes the constant factor first and keeps everything else in tree order.
    """
    dims: dict[int, None] = {}
    syms: dict[int, None] = {}
    stack = list(reversed(exprs))
    while stack:
        expr = stack.pop()
        if isinstance(expr, AffineBinaryOpExpr):
            stack += [expr.rhs, expr.lhs]
        elif isinstance(expr, AffineDimExpr):
            dims[expr.position] = None
        elif isinstance(expr, AffineSymExpr):
            syms[expr.position] = None
    return list(dims), list(syms)


def set_text(condition: AffineSet, dims: Sequence[str]) -> str | None:
    """`i - 3 >= 0 and j == 0`; None where the text would read back as another set."""
    if condition.num_symbols or not condition.constraints:
        return None
    parts: list[str] = []
    for constraint in condition.constraints:
        if constraint.rhs != AffineConstantExpr(0) or not is_stable(constraint.lhs):
            return None
        parts.append(f"{text_of(constraint.lhs, dims, ())} {constraint.kind.value} 0")
    return " and ".join(parts)


def map_text(map_: AffineMap) -> str:
    """`(d0, d1) -> (d1 floordiv 48, d0)`."""
    if not map_is_stable(map_):
        return str(map_)
    dims = [f"d{number}" for number in range(map_.num_dims)]
    syms = [f"s{number}" for number in range(map_.num_symbols)]
    results = ", ".join(text_of(result, dims, syms) for result in map_.results)
    symbols = f"[{', '.join(syms)}]" if syms else ""
    return f"({', '.join(dims)}){symbols} -> ({results})"


def map_is_stable(map_: AffineMap) -> bool:
    """Whether every result reads back as it is."""
    return all(is_stable(result) for result in map_.results)
