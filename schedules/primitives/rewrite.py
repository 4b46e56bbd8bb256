"""Editing statements and loops in place: their variables, maps, bounds and buffers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr, DenseArrayBase, StringAttr, i32
from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineExpr, AffineMap, AffineSymExpr

from ...core.affine import Range, Ranges, bounds, dim, simplify_map, substitute, sym, used
from ...core.walk import ancestors, erase
from ...dialects.loop import (
    AllocOp,
    BufferType,
    CoeffOp,
    ForOp,
    KernelOp,
    PrefetchOp,
    ReadOp,
    StmtOp,
    buffer_type,
)
from ...dialects.loop.build import variable_hint
from .space import axis_ranges, iv_ranges, loop_of, loop_range, through_bind

MapEdit = Callable[[AffineMap, int], AffineMap]
"""From a map and the number of its opaque symbols to a new map."""


def edit_maps(stmt: StmtOp, edit: MapEdit) -> None:
    """Replace every access map of a statement: of outs, reads and coefficients."""
    stmt.out_maps = ArrayAttr([AffineMapAttr(edit(map_.data, 0)) for map_ in stmt.out_maps])
    for op in stmt.body.block.ops:
        if isinstance(op, ReadOp):
            op.map = AffineMapAttr(edit(op.map.data, len(op.symbols)))
        elif isinstance(op, CoeffOp):
            op.map = AffineMapAttr(edit(op.map.data, 0))


def set_ivs(stmt: StmtOp, ivs: Sequence[SSAValue], old: Sequence[AffineExpr]) -> None:
    """Give a statement new ivs; `old[i]` is its old iv i as an expression of the new ones."""

    def edit(map_: AffineMap, num_opaque: int) -> AffineMap:
        shift = [sym(num_opaque + i) for i in range(len(ivs))]
        symbols = [sym(i) for i in range(num_opaque)] + [substitute(e, shift) for e in old]
        dims = [dim(i) for i in range(map_.num_dims)]
        return map_.replace_dims_and_symbols(dims, symbols, map_.num_dims, num_opaque + len(ivs))

    edit_maps(stmt, edit)
    stmt.bind = AffineMapAttr(stmt.bind.data.replace_dims_and_symbols(old, [], len(ivs), 0))
    stmt.operands = [*ivs, *stmt.outs]
    sizes = [len(ivs), len(stmt.out_maps)]
    stmt.properties["operandSegmentSizes"] = DenseArrayBase.from_list(i32, sizes)


def add_ivs(stmt: StmtOp, values: Sequence[SSAValue]) -> list[int]:
    """Make sure that `values` are among the ivs; their positions."""
    ivs = list(stmt.ivs)
    missing = [value for value in values if not any(value is iv for iv in ivs)]
    if missing:
        set_ivs(stmt, [*ivs, *missing], [dim(i) for i in range(len(ivs))])
        ivs += missing
    return [next(i for i, iv in enumerate(ivs) if iv is value) for value in values]


def substitute_variable(
    variable: SSAValue, expr: AffineExpr, values: Sequence[SSAValue], inside: Operation
) -> None:
    """Put `expr` (over `values` as dimensions) in the place of a loop variable inside an op."""
    for user in {use.operation for use in variable.uses}:
        if not inside.is_ancestor(user):
            continue
        if isinstance(user, StmtOp):
            _substitute_iv(user, variable, expr, values)
        elif isinstance(user, PrefetchOp):
            bound = _substituted(user.map.data, list(user.ivs), variable, expr, values)
            set_prefetch(user, *bound)
        else:
            assert isinstance(user, ForOp), f"{user.name} uses a loop variable in nest form"
            _substitute_bound(user, variable, expr, values)


def _substitute_iv(
    stmt: StmtOp, variable: SSAValue, expr: AffineExpr, values: Sequence[SSAValue]
) -> None:
    positions = [dim(p) for p in add_ivs(stmt, values)]
    ivs = list(stmt.ivs)
    old = [substitute(expr, positions) if iv is variable else dim(i) for i, iv in enumerate(ivs)]
    set_ivs(stmt, ivs, old)


def _substitute_bound(
    loop: ForOp, variable: SSAValue, expr: AffineExpr, values: Sequence[SSAValue]
) -> None:
    lower = _substituted(loop.lower.data, loop.lower_args, variable, expr, values)
    upper = _substituted(loop.upper.data, loop.upper_args, variable, expr, values)
    set_bounds(loop, lower, upper)


Bound = tuple[AffineMap, list[SSAValue]]


def _substituted(
    map_: AffineMap,
    args: Sequence[SSAValue],
    variable: SSAValue,
    expr: AffineExpr,
    values: Sequence[SSAValue],
) -> Bound:
    new = [*args, *values]
    shifted = substitute(expr, [dim(len(args) + i) for i in range(len(values))])
    dims = [shifted if arg is variable else dim(i) for i, arg in enumerate(args)]
    return map_.replace_dims_and_symbols(dims, [], len(new), 0), new


def set_prefetch(op: PrefetchOp, map_: AffineMap, args: Sequence[SSAValue]) -> None:
    """Set the element that a prefetch asks for, over `args`, simplified, without needless ones."""
    ranges = Ranges(tuple(loop_range(loop_of(arg)) for arg in args))
    simple = simplify_map(map_, ranges)
    kept: list[SSAValue] = []
    dims = [dim(0)] * len(args)
    for position in sorted({p for expr in simple.results for p in used(expr)[0]}):
        if not any(args[position] is arg for arg in kept):
            kept.append(args[position])
        dims[position] = dim(next(i for i, arg in enumerate(kept) if arg is args[position]))
    results = tuple(substitute(expr, dims) for expr in simple.results)
    op.map = AffineMapAttr(AffineMap(len(kept), 0, results))
    op.operands = [op.source, *kept]


def set_bounds(loop: ForOp, lower: Bound, upper: Bound) -> None:
    """Set the bounds of a loop, simplified, without needless operands."""
    maps: list[AffineMap] = []
    operands: list[list[SSAValue]] = []
    for map_, args in (lower, upper):
        ranges = Ranges(tuple(loop_range(loop_of(arg)) for arg in args))
        simple = simplify_map(map_, ranges)
        kept = [i for i in range(len(args)) if any(i in used(e)[0] for e in simple.results)]
        dims = [dim(kept.index(i)) if i in kept else dim(0) for i in range(len(args))]
        maps.append(simple.replace_dims_and_symbols(dims, [], len(kept), 0))
        operands.append([args[i] for i in kept])
    loop.lower, loop.upper = AffineMapAttr(maps[0]), AffineMapAttr(maps[1])
    sizes = [len(operands[0]), len(operands[1]), len(loop.inits)]
    loop.operands = [*operands[0], *operands[1], *loop.inits]
    loop.properties["operandSegmentSizes"] = DenseArrayBase.from_list(i32, sizes)


def normalize(op: Operation) -> None:
    """Bring every statement inside `op` to normal form.

    Maps are simplified with what is known of the loops; the ivs are those that occur, in the order
    of the text; a read that cannot leave its buffer has no fill value.
    """
    for stmt in op.walk():
        if isinstance(stmt, StmtOp):
            normalize_stmt(stmt)


def normalize_stmt(stmt: StmtOp) -> None:
    """Bring one statement to normal form."""
    _order_ivs(stmt)  # first: a variable that has been replaced no longer belongs to a loop
    ranges = iv_ranges(stmt)
    stmt.bind = AffineMapAttr(simplify_map(stmt.bind.data, Ranges(ranges)))
    axes = axis_ranges(stmt)

    def simplified(map_: AffineMap, num_opaque: int) -> AffineMap:
        return simplify_map(map_, Ranges(axes, (*([None] * num_opaque), *ranges)))

    edit_maps(stmt, simplified)
    for read in stmt.body.block.ops:
        if isinstance(read, ReadOp) and read.fill is not None and stays_inside(stmt, read):
            del read.properties["fill"]
    _order_ivs(stmt)


def stays_inside(stmt: StmtOp, read: ReadOp) -> bool:
    """Whether every index of a read is provably inside its buffer."""
    extents = buffer_type(read.source).extents
    return all(
        dimension_inside(stmt, read, expr, extent)
        for expr, extent in zip(read.map.data.results, extents, strict=True)
    )


def dimension_inside(stmt: StmtOp, read: ReadOp, expr: AffineExpr, extent: int) -> bool:
    """Whether one index of a read is provably in [0, extent)."""
    interval = index_bounds(stmt, read, expr)
    return interval is not None and interval[0] >= 0 and interval[1] <= extent


def index_bounds(stmt: StmtOp, read: ReadOp, expr: AffineExpr) -> Range | None:
    """The half-open interval in which an index of a read lies at the points that run."""
    num_opaque = len(read.symbols)
    unknown = [None] * num_opaque
    ranges = iv_ranges(stmt)
    over_ivs = bounds(through_bind(stmt, expr, num_opaque), Ranges(ranges, tuple(unknown)))
    over_axes = bounds(expr, Ranges(axis_ranges(stmt), (*unknown, *ranges)))
    if over_ivs is None or over_axes is None:
        return over_ivs or over_axes
    return max(over_ivs[0], over_axes[0]), min(over_ivs[1], over_axes[1])


def _order_ivs(stmt: StmtOp) -> None:
    """Keep the ivs that occur, in the order in which the text names them first."""
    order: dict[int, None] = {}

    def collect(map_: AffineMap, num_opaque: int) -> AffineMap:
        for expr in map_.results:
            for node in expr.dfs():
                if isinstance(node, AffineSymExpr) and node.position >= num_opaque:
                    order.setdefault(node.position - num_opaque)
        return map_

    for expr in stmt.bind.data.results:
        for node in expr.dfs():
            if isinstance(node, AffineDimExpr):
                order.setdefault(node.position)
    edit_maps(stmt, collect)
    ivs, kept = list(stmt.ivs), list(order)
    if kept != list(range(len(ivs))):
        old = [dim(kept.index(i)) if i in order else dim(0) for i in range(len(ivs))]
        set_ivs(stmt, [ivs[i] for i in kept], old)


def replace_buffer(old: SSAValue, type_: BufferType) -> SSAValue:
    """Give a buffer another type: a new `loop.alloc` in the place of the old one."""
    alloc = old.owner
    assert isinstance(alloc, AllocOp)
    new = AllocOp(type_)
    new.location = alloc.location
    new.res.name_hint = old.name_hint
    block = alloc.parent
    assert block is not None
    block.insert_op_before(new, alloc)
    old.replace_all_uses_with(new.res)
    erase(alloc)
    return new.res


def new_loop(
    like: ForOp, name: str, upper: int | AffineMap, upper_args: Sequence[SSAValue] = ()
) -> ForOp:
    """An empty loop from 0 to `upper`, from where `like` comes."""
    made = ForOp(name, 0, upper, upper_args=upper_args)
    made.location = like.location
    made.variable.name_hint = variable_hint(name)
    return made


def take_over(new: ForOp, inner: ForOp, old: ForOp, body: ForOp) -> None:
    """Put the nest `new` before `old`; its loop `inner` takes over what the loop `body` holds."""
    block = old.parent
    assert block is not None
    block.insert_op_before(new, old)
    for op in list(body.body.block.ops):
        op.detach()
        inner.body.block.add_op(op)


def rename_loops(op: Operation, suffix: str) -> None:
    """Append a suffix to the name of every loop inside `op`, itself included."""
    for loop in op.walk():
        if isinstance(loop, ForOp):
            loop.loop_name = StringAttr(f"{loop.loop_name.data}{suffix}")


def position_in(block: Block, op: Operation) -> Operation:
    """The op of `block` that is `op` or contains it."""
    current = op
    while current.parent is not block:
        parent = current.parent_op()
        assert parent is not None, "the op is not inside the block"
        current = parent
    return current


def kernel_of(op: Operation) -> KernelOp:
    """The kernel around an op."""
    return next(around for around in ancestors(op) if isinstance(around, KernelOp))
