"""The body that is being written: the block, its axes, and what is known of them."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Integral, Real
from typing import TYPE_CHECKING, Protocol

from xdsl.dialects import arith
from xdsl.dialects.builtin import AffineMapAttr, DenseIntOrFPElementsAttr, LocationAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineExpr, AffineMap

from ...core.affine import Range as AxisRange
from ...core.affine import Ranges, dim, linear_terms, sym
from ...core.errors import ExpressionError
from ...core.names import fresh
from ..te import CoeffOp, IndexOp, ReadOp, YieldOp
from . import ops
from .ops import INDEX, Number, Properties, plain
from .reduction import Reduction, nested_reduction
from .scalar import Index, Scalar

if TYPE_CHECKING:
    from .tensor import Tensor


class Origin(Protocol):
    """Whoever knows where the ops that are being written come from."""

    location: LocationAttr


class Body:
    """The block that a compute's function is writing to; equal ops are made once.

    Attributes:
        axes: names and extents, those of the result first.
        bound: position of each axis that was made outside of the body, by the object that it is.
        sources: the tensors that are read.
        reads: every access, with its index expressions.
        guards: selects that are promised to take a branch only where its reads are inside.
    """

    def __init__(self, origin: Origin, block: Block, axes: Sequence[tuple[str, int]]):
        self.origin = origin
        self.block = block
        self.axes: list[tuple[str, int]] = list(axes)
        self.symbols: list[SSAValue] = []
        self.bound: dict[Hashable, int] = {}
        self.sources: dict[SSAValue, Tensor] = {}
        self.reads: list[tuple[ReadOp | CoeffOp, tuple[AffineExpr, ...]]] = []
        self.guards: set[Operation] = set()
        self._memo: dict[tuple[object, ...], SSAValue] = {}

    @property
    def ranges(self) -> Ranges:
        """What is known of the axes."""
        ranges: list[AxisRange] = [(0, extent) for _, extent in self.axes]
        return Ranges(tuple(ranges))

    def bind(self, axis: Hashable, name: str, extent: int) -> Index:
        """An axis that is an object of its own, as an index; it joins the body at its first use."""
        if axis not in self.bound:
            label = fresh(name, {label for label, _ in self.axes})
            self.bound[axis] = len(self.axes)
            self.axes.append((label, extent))
        return Index(self, dim(self.bound[axis]))

    def emit(
        self,
        op: tuple[type[Operation], Properties],
        operands: Sequence[SSAValue],
        type_: Attribute,
    ) -> SSAValue:
        """The result of a pure op."""
        cls, properties = op
        key = (cls, *map(id, operands), type_, *properties.values())
        if (found := self._memo.get(key)) is None:
            found = self._memo[key] = self.append(op, operands, type_)
        return found

    def append(
        self,
        op: tuple[type[Operation], Properties],
        operands: Sequence[SSAValue],
        type_: Attribute,
    ) -> SSAValue:
        """As `emit`, always a new op."""
        new = op[0].create(
            operands=operands,
            result_types=[type_],
            properties=op[1],
            location=self.origin.location,
        )
        self.block.add_op(new)
        return new.results[0]

    def read(
        self,
        source: SSAValue,
        exprs: tuple[AffineExpr, ...],
        symbols: Sequence[SSAValue],
        fill: Attribute | None,
        type_: Attribute,
    ) -> SSAValue:
        """A `te.read`; its map is made by `finish`, when all axes are known."""
        key = (ReadOp, id(source), exprs, *map(id, symbols), id(fill))
        if (found := self._memo.get(key)) is None:
            properties: Properties = {} if fill is None else {"fill": fill}
            found = self._memo[key] = self.append((ReadOp, properties), (source, *symbols), type_)
            assert isinstance(found.owner, ReadOp)
            self.reads.append((found.owner, exprs))
        return found

    def coeff(
        self, values: DenseIntOrFPElementsAttr, exprs: tuple[AffineExpr, ...], type_: Attribute
    ) -> SSAValue:
        """A `te.coeff`."""
        result = self.append((CoeffOp, {"values": values}), (), type_)
        assert isinstance(result.owner, CoeffOp)
        self.reads.append((result.owner, exprs))
        return result

    def finish(self, values: Sequence[Scalar]) -> None:
        """End the block with `te.yield`."""
        self.finish_values([value.value for value in values])

    def finish_values(self, values: Sequence[SSAValue]) -> None:
        """As `finish`."""
        rank = len(self.axes)
        for op, exprs in self.reads:
            map_ = AffineMap(rank, max(0, len(op.operands) - 1), exprs)
            op.properties["map"] = AffineMapAttr(map_)
        self.block.add_op(YieldOp.create(operands=values, location=self.origin.location))

    def reorder(self, order: Sequence[int]) -> None:
        """Put the axes into another order: `order[new]` is the old position.

        Indices that were made before no longer fit: only `finish` comes after this.
        """
        self.axes = [self.axes[old] for old in order]
        self.bound = {axis: order.index(old) for axis, old in self.bound.items()}
        dims = [dim(order.index(old)) for old in range(len(order))]
        symbols = [sym(position) for position in range(len(self.symbols))]
        self.reads = [
            (op, tuple(expr.replace_dims_and_symbols(dims, symbols) for expr in exprs))
            for op, exprs in self.reads
        ]

    def constant(self, value: Number, dtype: Attribute) -> Scalar:
        """A literal of a graph element type or of `index`."""
        attribute = ops.literal(value, dtype)
        key = (arith.ConstantOp, id(attribute))  # -0.0 equals 0.0; the cached attributes differ
        if (found := self._memo.get(key)) is None:
            op = (arith.ConstantOp, {"value": attribute})
            found = self._memo[key] = self.append(op, (), plain(dtype))
        return Scalar(self, found, dtype)

    def literal(self, value: object, dtype: Attribute) -> Scalar:
        """A number that a user wrote, as a constant.

        Raises: ExpressionError: it is no number, or none of the type.
        """
        if isinstance(value, Reduction):
            raise nested_reduction()
        if not isinstance(value, Real):  # Python's and NumPy's
            raise ExpressionError(f"expected an element or a number, got {value!r}")
        number = int(value) if isinstance(value, Integral) else float(value)
        ops.check_number(number, dtype)
        return self.constant(number, dtype)

    def opaque(self, scalar: Scalar) -> Index:
        """A data-dependent scalar as an index."""
        value = scalar.cast(INDEX).value
        for position, known in enumerate(self.symbols):
            if known is value:
                return Index(self, sym(position))
        self.symbols.append(value)
        return Index(self, sym(len(self.symbols) - 1))

    def number(self, expr: AffineExpr) -> Scalar:
        """The value of an index expression, computed with arith on `index`."""
        total: Scalar | None = None
        for atom, factor in linear_terms(expr).items():
            term = self.constant(factor, INDEX) if atom is None else self._atom(atom)
            if atom is not None and factor != 1:
                term = term * factor
            total = term if total is None else total + term
        return self.constant(0, INDEX) if total is None else total

    def _atom(self, atom: AffineExpr) -> Scalar:
        if isinstance(atom, AffineBinaryOpExpr):
            lhs, rhs = self.number(atom.lhs), self.number(atom.rhs)
            if atom.kind is AffineBinaryOpKind.FloorDiv:
                return lhs // rhs
            assert atom.kind is AffineBinaryOpKind.Mod
            return lhs - (lhs // rhs) * rhs
        for position, (name, _) in enumerate(self.axes):
            if atom == dim(position):
                op = (IndexOp, IndexOp(name).properties)
                return Scalar(self, self.emit(op, (), INDEX), INDEX)
        for position, value in enumerate(self.symbols):
            if atom == sym(position):
                return Scalar(self, value, INDEX)
        raise ExpressionError("an axis of another compute, or one inside a combiner")


_CURRENT: ContextVar[Body | None] = ContextVar("nnc_te_body", default=None)


def current_body() -> Body:
    """The body that is being written.

    Raises: ExpressionError: there is none.
    """
    body = _CURRENT.get()
    if body is None:
        raise ExpressionError(
            "elements and axes exist inside a compute only",
            hint="read tensors in the function that is given to compute",
        )
    return body


def is_writing() -> bool:
    """Whether a body is being written."""
    return _CURRENT.get() is not None


@contextmanager
def writing(body: Body | None) -> Generator[None]:
    """Write to `body` in this block."""
    token = _CURRENT.set(body)
    try:
        yield
    finally:
        _CURRENT.reset(token)
