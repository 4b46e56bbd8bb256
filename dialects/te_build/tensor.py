"""Tensors of a kernel that is being written: reads, and constants that need no memory."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Attribute, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineExpr, AffineSymExpr

from ...core.affine import simplify, sym, used
from ...core.errors import ExpressionError
from ...core.irtypes import tensor_shape
from . import ops
from .body import Body, current_body
from .ops import Number, plain
from .scalar import Index, Scalar, as_index

IndexLike = Index | Scalar | int


class Tensor:
    """A tensor of graph element type `dtype`; `x[i, 2 * k + 1]` reads an element.

    `names` are the axes of the compute that made it, empty for an argument.
    """

    __iter__ = None  # otherwise x[0], x[1] ... would make one

    def __init__(self, shape: Sequence[int], dtype: Attribute, names: Sequence[str] = ()):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.names = tuple(names)

    @property
    def label(self) -> str:
        """What messages call it."""
        return "a tensor"

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, indices: IndexLike | tuple[IndexLike, ...]) -> Scalar:
        return self.read(indices if isinstance(indices, tuple) else (indices,))

    def read(self, indices: Sequence[IndexLike], fill: Number | None = None) -> Scalar:
        """One element; `fill` where an index is outside the shape.

        Without `fill` the affine indices must stay inside; opaque ones are promised to.
        """
        raise NotImplementedError

    def at(self, indices: Sequence[IndexLike]) -> Scalar:
        """One element of this tensor broadcast to `len(indices)` dimensions (NumPy's rule)."""
        own = list(indices)[len(indices) - self.rank :]
        body = current_body()
        pairs = zip(self.shape, own, strict=True)
        return self.read([0 if size == 1 and _extent(body, i) != 1 else i for size, i in pairs])


class Splat(Tensor):
    """A constant with one value everywhere: every read is a literal."""

    def __init__(self, shape: Sequence[int], dtype: Attribute, value: Number):
        super().__init__(shape, dtype)
        self.value = value

    def read(self, indices: Sequence[IndexLike], fill: Number | None = None) -> Scalar:
        assert fill is None or fill == self.value, "a guarded read of a literal"
        return current_body().constant(self.value, self.dtype)


class Stored(Tensor):
    """A tensor that is an SSA value of the kernel."""

    def __init__(self, value: SSAValue, dtype: Attribute, names: Sequence[str] = ()):
        super().__init__(tensor_shape(value.type), dtype, names)
        self.value = value

    @property
    def label(self) -> str:
        return f"'{self.value.name_hint}'" if self.value.name_hint else "a tensor"

    def read(self, indices: Sequence[IndexLike], fill: Number | None = None) -> Scalar:
        body = current_body()
        if len(indices) != self.rank:
            given = f"{len(indices)} {'index' if len(indices) == 1 else 'indices'}"
            raise ExpressionError(
                f"{given} for {self.label}, whose rank is {self.rank} (shape {list(self.shape)})"
            )
        exprs = [_simplified(body, as_index(body, index).expr) for index in indices]
        renamed, symbols = own_symbols(body, exprs)
        fill_attr = None if fill is None else ops.literal(fill, self.dtype)
        value = body.read(self.value, tuple(renamed), symbols, fill_attr, plain(self.dtype))
        body.sources.setdefault(self.value, self)
        return Scalar(body, value, self.dtype)


def _extent(body: Body, index: IndexLike) -> int | None:
    """The extent of an index that is an axis, else `None`."""
    if isinstance(index, Index) and isinstance(index.expr, AffineDimExpr):
        return body.axes[index.expr.position][1]
    return None


def _simplified(body: Body, expr: AffineExpr) -> AffineExpr:
    if isinstance(expr, AffineDimExpr | AffineSymExpr | AffineConstantExpr):
        return expr
    return simplify(expr, body.ranges)


def own_symbols(body: Body, exprs: Sequence[AffineExpr]) -> tuple[list[AffineExpr], list[SSAValue]]:
    """The expressions over the symbols that they use, numbered from 0."""
    if not body.symbols:
        return list(exprs), []
    positions = sorted(set[int]().union(*(used(expr)[1] for expr in exprs)))
    if positions == list(range(len(positions))):
        return list(exprs), body.symbols[: len(positions)]
    new = [sym(positions.index(p) if p in positions else 0) for p in range(len(body.symbols))]
    renamed = [expr.replace_dims_and_symbols([], new) for expr in exprs]
    return renamed, [body.symbols[p] for p in positions]
