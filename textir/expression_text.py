"""Scalar bodies to expressions, where reading them would give the very same ops.

The ops of a body are put back together on a stack: an op takes the pending values it uses from the
top, in order. What is used twice, named, or out of order becomes a statement `%0 = ...`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IndexType,
    IntegerAttr,
    StringAttr,
    i1,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from . import scalar_ops
from .index_text import map_is_stable, order_of_use, text_of
from .literals import is_float, number_text

if TYPE_CHECKING:
    from .expressions import Space
    from .printer import TextPrinter

_MAX_PENDING_DEPTH = 24
"""Deeper expressions are broken into statements: a reader would not follow them either."""
_MAX_LENGTH = 100


@dataclass
class Piece:
    """An expression that is not written yet.

    Attributes:
        parts: texts and inner pieces, in order.
        level: how tightly it binds.
        literal: the text with its type, for a literal; it may be left out where neighbours tell.
        has_type: reading it needs no neighbour to know its type.
        group: positions in `parts` of pieces that share one type.
        tight: positions of pieces that need parentheses at this level, with that level.
    """

    parts: list[str | Piece]
    level: int
    literal: str | None = None
    has_type: bool = True
    group: tuple[int, ...] = ()
    needs: dict[int, int] = field(default_factory=dict[int, int])
    depth: int = 0
    outer: bool = False


def render(piece: Piece, typed: bool, level: int = 0) -> str:
    """The text of a piece; `typed`: the type of a literal here is known from around it."""
    if piece.literal is not None and not typed:
        return piece.literal
    group_typed = any(
        inner.has_type for at in piece.group if isinstance(inner := piece.parts[at], Piece)
    ) or (piece.outer and typed)
    texts: list[str] = []
    for at, part in enumerate(piece.parts):
        if isinstance(part, str):
            texts.append(part)
        else:
            texts.append(render(part, at in piece.group and group_typed, piece.needs.get(at, 0)))
    text = "".join(texts)
    return f"({text})" if piece.level < level else text


class BodyText:
    """Writes the ops of one body."""

    def __init__(self, printer: TextPrinter, space: Space):
        self._p = printer
        self._space = space
        self._pending: list[tuple[SSAValue, Piece]] = []
        self._lines: list[tuple[Operation, str]] = []

    def lines(self, block: Block) -> tuple[list[tuple[Operation, str]], str] | None:
        """(statements, the yielded expressions); None: an op that is no statement."""
        last = block.last_op
        for op in block.ops:
            if op is last:
                break
            if op.regions or op.successors or not self._add(op):
                return None
        assert last is not None
        if last.attributes or last.properties or last.regions:
            return None
        taken = self._take(last.operands)
        if taken is None or self._pending:
            self._restore(taken)
            self.flush()
            taken = self._take(last.operands)
            assert taken is not None
        typed = [value.type for value in last.operands] == list(self._space.yields)
        return self._lines, ", ".join(
            self._name(value) if piece is None else render(piece, typed)
            for value, piece in zip(last.operands, taken, strict=True)
        )

    def _name(self, value: SSAValue) -> str:
        return self._p.names.of(value)

    def _restore(self, taken: Sequence[Piece | None] | None) -> None:
        """Put back what `_take` took, to be written as statements."""
        if taken is not None:
            self._pending += self._taken

    def _take(self, operands: Sequence[SSAValue]) -> list[Piece | None] | None:
        """Pieces of the operands (None for a named one), or None if the stack has another order."""
        pending = {id(value): piece for value, piece in self._pending}
        wanted = [value for value in operands if id(value) in pending]
        top = [value for value, _ in self._pending[len(self._pending) - len(wanted) :]]
        if len(wanted) > len(self._pending) or any(
            a is not b for a, b in zip(wanted, top, strict=True)
        ):
            return None
        self._taken = self._pending[len(self._pending) - len(wanted) :]
        del self._pending[len(self._pending) - len(wanted) :]
        return [pending.get(id(value)) for value in operands]

    def flush(self) -> None:
        """Write what is pending as statements."""
        for value, piece in self._pending:
            owner = value.owner
            assert isinstance(owner, Operation)
            self._lines.append((owner, f"{self._name(value)} = {render(piece, False)}"))
        self._pending = []

    def _add(self, op: Operation) -> bool:
        taken = self._take(op.operands)
        if taken is None:
            self.flush()
            taken = self._take(op.operands)
            assert taken is not None
        pieces = self._pieces(op, taken)
        made = self._piece(op, pieces, taken)
        if made is None and self._taken:  # perhaps with names for what it uses
            self._pending += self._taken
            self.flush()
            taken = [None] * len(op.operands)
            pieces = self._pieces(op, taken)
            made = self._piece(op, pieces, taken)
        if made is None:
            self.flush()
            return self._plain(op)
        value = op.results[0]
        made.depth = 1 + max((piece.depth for piece in pieces), default=0)
        length = sum(len(part) for part in _texts(made))
        self._pending.append((value, made))
        if (
            value.name_hint is not None
            or not value.has_one_use()
            or made.depth > _MAX_PENDING_DEPTH
            or length > _MAX_LENGTH
            or self._p.each_op
        ):
            self.flush()
        return True

    def _pieces(self, op: Operation, taken: Sequence[Piece | None]) -> list[Piece]:
        return [
            Piece([self._name(value)], scalar_ops.ATOM_LEVEL) if piece is None else piece
            for value, piece in zip(op.operands, taken, strict=True)
        ]

    def _plain(self, op: Operation) -> bool:
        """An op without an expression: a line in the uniform or generic form."""
        line = self._p.line(op)
        if line is None:
            return False
        self._lines.append((op, line))
        return True

    # --- one op

    def _piece(
        self, op: Operation, pieces: list[Piece], taken: Sequence[Piece | None]
    ) -> Piece | None:
        if len(op.results) != 1 or op.attributes:
            return None
        dialect = self._space.dialect
        match op.name:
            case "arith.constant":
                return self._constant(op)
            case "arith.cmpf" | "arith.cmpi":
                return self._compare(op, pieces)
            case "arith.select":
                return self._select(op, pieces)
            case name if name == f"{dialect}.read":
                return self._read(op, pieces, taken)
            case name if name == f"{dialect}.index":
                return self._index(op)
            case name if name == f"{dialect}.coeff":
                return self._coeff(op)
            case _:
                return self._scalar(op, pieces)

    def _constant(self, op: Operation) -> Piece | None:
        value = op.properties.get("value")
        type_ = op.results[0].type
        if not isinstance(value, IntegerAttr | FloatAttr) or len(op.properties) != 1:
            return None
        if cast("Any", value).type != type_:
            return None
        text = number_text(cast("Attribute", value))
        assert text is not None
        if type_ == i1:
            return Piece([text], scalar_ops.ATOM_LEVEL)
        typed = f"({text} : {self._p.attributes.of(type_)})"
        level = scalar_ops.UNARY_LEVEL if text.startswith("-") else scalar_ops.ATOM_LEVEL
        if text.startswith("0x") and not is_float(type_):
            return None
        return Piece([text], level, typed, has_type=False)

    def _compare(self, op: Operation, pieces: list[Piece]) -> Piece | None:
        spelled = scalar_ops.comparison(op)
        if spelled is None or op.results[0].type != i1:
            return None
        if (op.name == "arith.cmpf") != is_float(op.operands[0].type):
            return None
        style, word = spelled
        if not any(piece.has_type for piece in pieces):
            return None
        if style == "operator":
            level = scalar_ops.COMPARE_LEVEL
            needs = {0: level + 1, 2: level + 1}
            return Piece([pieces[0], f" {word} ", pieces[1]], level, group=(0, 2), needs=needs)
        head = f"{op.name.partition('.')[2]}({word}, "
        return Piece([head, pieces[0], ", ", pieces[1], ")"], scalar_ops.ATOM_LEVEL, group=(1, 3))

    def _select(self, op: Operation, pieces: list[Piece]) -> Piece | None:
        types = [value.type for value in op.operands]
        if op.properties or types[0] != i1 or types[1:] != [op.results[0].type] * 2:
            return None
        parts: list[str | Piece] = ["select(", pieces[0], ", ", pieces[1], ", ", pieces[2], ")"]
        has_type = pieces[1].has_type or pieces[2].has_type
        return Piece(parts, scalar_ops.ATOM_LEVEL, has_type=has_type, group=(3, 5), outer=True)

    def _index(self, op: Operation) -> Piece | None:
        axis = op.properties.get("axis")
        if not isinstance(axis, StringAttr) or axis.data not in self._space.axes:
            return None
        if "." in axis.data:  # at the start of a statement it would be read as an op
            return None
        if len(op.properties) != 1 or not isinstance(op.results[0].type, IndexType):
            return None
        return Piece([axis.data], scalar_ops.ATOM_LEVEL)

    def _scalar(self, op: Operation, pieces: list[Piece]) -> Piece | None:
        spelled = scalar_ops.spelling(op.name)
        if spelled is None or not scalar_ops.has_defaults(op):
            return None
        style, word, level = spelled
        types = [value.type for value in op.operands]
        result = op.results[0].type
        if style == "cast":
            parts: list[str | Piece] = [
                f"{word}(",
                pieces[0],
                f", {self._p.attributes.of(result)})",
            ]
            return Piece(parts, level) if result.name not in ("tensor", "vector") else None
        if style == "test":
            ok = result == i1 and pieces[0].has_type
            return Piece([f"{word}(", pieces[0], ")"], level, group=(1,)) if ok else None
        if any(type_ != result for type_ in types) or not types:
            return None
        if not self._right_flavour(op, word, style):
            return None
        has_type = any(piece.has_type for piece in pieces)
        if style == "operator":
            return Piece(
                [pieces[0], f" {word} ", pieces[1]],
                level,
                has_type=has_type,
                group=(0, 2),
                needs={0: level, 2: level + 1},
                outer=True,
            )
        if style == "unary":
            if pieces[0].literal is not None:
                return None
            return Piece(
                ["-", pieces[0]], level, has_type=has_type, group=(1,), needs={1: level}, outer=True
            )
        return self._function(word, pieces, has_type)

    @staticmethod
    def _right_flavour(op: Operation, word: str, style: str) -> bool:
        """Whether the overload that the operands' type picks is this op."""
        table = scalar_ops.OPERATORS if style == "operator" else scalar_ops.OVERLOADED
        if word not in table:
            return True
        return table[word][0 if is_float(op.operands[0].type) else 1] == op.name

    @staticmethod
    def _function(word: str, pieces: list[Piece], has_type: bool) -> Piece:
        parts: list[str | Piece] = [f"{word}("]
        for number, piece in enumerate(pieces):
            parts += [", ", piece] if number else [piece]
        parts.append(")")
        group = tuple(at for at, part in enumerate(parts) if isinstance(part, Piece))
        return Piece(parts, scalar_ops.ATOM_LEVEL, has_type=has_type, group=group, outer=True)

    # --- accesses

    def _read(
        self, op: Operation, pieces: list[Piece], taken: Sequence[Piece | None]
    ) -> Piece | None:
        map_attr = op.properties.get("map")
        element = getattr(op.operands[0].type, "element_type", None)
        if not isinstance(map_attr, AffineMapAttr) or taken[0] is not None:
            return None
        if set(op.properties) - {"map", "fill"} or op.results[0].type != element:
            return None
        symbols = self._symbols(op, pieces[1:], taken[1:])
        indices = None if symbols is None else self._indices(map_attr, symbols)
        if indices is None:
            return None
        fill = self._fill(op, element)
        if fill is None:
            return None
        return Piece(
            [f"{self._name(op.operands[0])}[", *indices, f"]{fill}"], scalar_ops.ATOM_LEVEL
        )

    def _symbols(
        self, op: Operation, pieces: list[Piece], taken: Sequence[Piece | None]
    ) -> list[str | Piece] | None:
        """How each opaque index is written; an expression only where its form is clear."""
        values = list(op.operands)[1:]
        if len({id(value) for value in values}) != len(values):
            return None
        if any(not isinstance(value.type, IndexType) for value in values):
            return None
        symbols: list[str | Piece] = []
        for value, piece, own in zip(values, pieces, taken, strict=True):
            if own is None:
                symbols.append(f"({self._name(value)})")
                continue
            owner = value.owner
            is_read = isinstance(owner, Operation) and owner.name.endswith(".read")
            is_call = isinstance(piece.parts[0], str) and piece.parts[0].endswith("(")
            if not (is_read or (is_call and piece.level == scalar_ops.ATOM_LEVEL)):
                return None
            symbols.append(Piece(["(", piece, ")"], scalar_ops.ATOM_LEVEL))
        return symbols

    def _indices(
        self, map_attr: AffineMapAttr, symbols: list[str | Piece]
    ) -> list[str | Piece] | None:
        """The index expressions, with the symbols' pieces in their places."""
        map_ = map_attr.data
        ivs = [self._name(value) for value in self._space.ivs]
        if map_.num_dims != len(self._space.axes) or map_.num_symbols != len(symbols) + len(ivs):
            return None
        if not map_is_stable(map_):
            return None
        _, used = order_of_use(map_.results)
        if [at for at in used if at < len(symbols)] != list(range(len(symbols))):
            return None
        marks = [f"\0{number}\0" for number in range(len(symbols))]
        text = ", ".join(
            text_of(result, self._space.axes, [*marks, *ivs]) for result in map_.results
        )
        parts: list[str | Piece] = []
        for number, chunk in enumerate(text.split("\0")):
            parts.append(symbols[int(chunk)] if number % 2 else chunk)
        return parts

    @staticmethod
    def _fill(op: Operation, element: Attribute | None) -> str | None:
        """` else 0.0`, nothing without a fill, None for one that cannot be written so."""
        fill = op.properties.get("fill")
        if fill is None:
            return ""
        if not isinstance(fill, IntegerAttr | FloatAttr) or cast("Any", fill).type != element:
            return None
        return f" else {number_text(cast('Attribute', fill))}"

    def _coeff(self, op: Operation) -> Piece | None:
        values, map_attr = op.properties.get("values"), op.properties.get("map")
        if not isinstance(map_attr, AffineMapAttr) or len(op.properties) != 2:
            return None
        if not isinstance(values, DenseIntOrFPElementsAttr):
            return None
        dense = cast("DenseIntOrFPElementsAttr[Any]", values)
        if dense.get_element_type() != op.results[0].type:
            return None
        indices = self._indices(map_attr, [])
        if indices is None:
            return None
        text = f"{self._p.attributes.dense(dense)} : {self._p.attributes.of(dense.type)}"
        return Piece([f"coeff({text})[", *indices, "]"], scalar_ops.ATOM_LEVEL)


def _texts(piece: Piece) -> list[str]:
    texts: list[str] = []
    stack: list[str | Piece] = [piece]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            texts.append(part)
        else:
            stack += part.parts
    return texts
