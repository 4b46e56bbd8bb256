"""form-tiles: nest form to tile form, once, after all scheduling.

Loops marked vectorize or unroll disappear: a statement under them becomes ops on n-D tiles whose
axes are those loops, by name. Serial loops inside them stay outside the tile ops. A reduction is
carried as a tile by its serial loops and written once, after the outermost of them.

    loop.for %i = 0 to 2 {                            loop.for %i = 0 to 2 {
      loop.for %k = 0 to 64 {                           %z = loop.constant 0.0
        loop.for %j = 0 to 16 vectorize {               %c = loop.for %k = 0 to 64 carry (%a = %z) {
          loop.stmt @c ... sum [k: 64]          ->        %l = loop.load %x[%i, %k] : tile<f32>
              -> %c[i, j] { %x[i, k] * %w[k, j] }         %r = loop.load %w[%k, j]
        }                                                 %n = loop.contract %l, %r, %a
      }                                                   loop.yield %n
    }                                                   }
                                                        loop.store %c, %c[%i, j]
                                                      }

Guards, where a statement's axes may leave their extents, become bounds of serial loops where they
can, else masks of loads and stores.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

from xdsl.context import Context
from xdsl.dialects.builtin import IndexType, UnknownLoc
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.ir.affine import (
    AffineConstraintExpr,
    AffineConstraintKind,
    AffineExpr,
    AffineMap,
    AffineSet,
)

from ...core.affine import const, dim, from_terms, linear_terms, substitute, used
from ...core.counters import may
from ...core.errors import PassError
from ...core.explain import listener, why_not
from ...core.locations import describe
from ...core.passes import OpPass, Statistic
from ...core.walk import is_inside
from ...dialects.loop import (
    AllocOp,
    ForOp,
    IfOp,
    KernelOp,
    PrefetchOp,
    StmtOp,
    YieldOp,
    buffer_type,
)
from .hoist import HOISTED, hoist_invariants
from .tile_body import TileWriter
from .tile_reduction import Part, Reductions
from .tile_space import MARKED, LoopSpace, Statement

BOUND = Statistic("loop bound", "guards of statements that became bounds of loops")


class TileFormer:
    """Rewrites the body of one kernel."""

    def __init__(self, kernel: KernelOp):
        self.kernel = kernel
        self.space = LoopSpace.of(kernel)
        self.block = Block()
        self.location = kernel.location
        self.writer = TileWriter(self.space, self.emit, self.at)
        stmts = [op for op in kernel.body.walk() if isinstance(op, StmtOp)]
        self.statements = {op: Statement.of(op, self.space) for op in stmts}
        self.reductions = Reductions(self.space, self.writer, self.statements, self.at)

    def run(self) -> None:
        """Replace the kernel's body by its tile form."""
        old = self.kernel.body.block
        self.block = Block(arg_types=old.arg_types)
        for before, after in zip(old.args, self.block.args, strict=True):
            after.name_hint = before.name_hint
            self.writer.buffers[before] = after
        self.visit_block(old)
        new = self.block
        self.kernel.detach_region(self.kernel.body)
        self.kernel.add_region(Region(new))
        hoist_invariants(new)

    def emit(self, op: Operation) -> Operation:
        """Append an op where the writing stands, with the location of what it comes from."""
        op.location = self.location
        self.block.add_op(op)
        return op

    def at(self, op: Operation) -> None:
        """What is written next comes from this op, if it is known where that comes from."""
        if not isinstance(op.location, UnknownLoc):
            self.location = op.location

    @contextmanager
    def inside(self, block: Block) -> Generator[None]:
        """Write into another block."""
        saved, self.block = self.block, block
        yield
        self.block = saved

    # Walking the nest.

    def visit_block(self, block: Block) -> None:
        """Write what a block of the nest says."""
        for op in block.ops:
            self.location = op.location
            if isinstance(op, ForOp):
                self.visit_for(op)
            elif isinstance(op, StmtOp):
                self.visit_stmt(self.statements[op])
            elif isinstance(op, AllocOp):
                if buffer_type(op.res).space.data != "register":
                    self.writer.buffers[op.res] = self.emit(op.clone()).results[0]
            elif isinstance(op, PrefetchOp):
                self.visit_prefetch(op)
            elif not isinstance(op, YieldOp):
                raise PassError(f"'{op.name}' has no place in nest form", where=describe(op))

    def visit_prefetch(self, op: PrefetchOp) -> None:
        """A hint, once for each position on the register axes that it depends on."""
        exprs = [
            self.space.simplify(substitute(expr, [self.space.exprs[iv] for iv in op.ivs]))
            for expr in op.map.data.results
        ]
        numbers = self.space.axis_numbers(exprs)
        axes = [self.space.axes[number] for number in numbers]
        rows = [range(1) if axis.is_lanes else range(axis.extent) for axis in axes]
        for point in product(*rows):
            at = dict(zip(numbers, point, strict=True))
            dims = [const(at[n]) if n in at else dim(n) for n in range(len(self.space.ranges.dims))]
            placed = [substitute(expr, dims) for expr in exprs]
            operands, results = self.space.project(placed, [])
            source = self.writer.buffers.get(op.source, op.source)
            map_ = AffineMap(len(operands), 0, tuple(results))
            self.emit(PrefetchOp(source, map_, operands))

    def visit_for(self, loop: ForOp) -> None:
        """A marked loop becomes tile axes; another is written, with what it must carry."""
        groups = self.reductions.roots.get(loop, [])
        for group in groups:
            self.reductions.open(group)
        number = self.space.numbers[loop.variable]
        low, high = self.space.extent(number)
        vanishes = loop.kind.data in MARKED or not used(self.space.exprs[loop.variable])[0]
        if high > low:
            self.visit_block(loop.body.block) if vanishes else self.write_for(loop)
        for group in groups:
            self.reductions.close(group)

    def write_for(self, loop: ForOp) -> None:
        """A serial or parallel loop of tile form."""
        carried = self.reductions.carried_by(loop)
        inits = [value for part in carried for value in part.values]
        lower, upper, lower_args, upper_args = self.tightened(loop)
        body = Block(arg_types=[IndexType(), *(value.type for value in inits)])
        body.args[0].name_hint = loop.variable.name_hint
        new = ForOp(
            loop.loop_name.data,
            lower,
            upper,
            Region(body),
            kind=loop.kind.data,
            lower_args=lower_args,
            upper_args=upper_args,
            inits=inits,
        )
        self.space.values[self.space.numbers[loop.variable]] = body.args[0]
        _hand_out(carried, body.args[1:])
        with self.inside(body):
            self.visit_block(loop.body.block)
            if inits:
                self.emit(YieldOp(*(value for part in carried for value in part.values)))
        self.location = loop.location
        self.emit(new)
        _hand_out(carried, new.results)

    def tightened(self, loop: ForOp) -> tuple[AffineMap, AffineMap, list[SSAValue], list[SSAValue]]:
        """Bounds of a loop, with the guards that all of its statements share as bounds."""
        number = self.space.numbers[loop.variable]
        lowers, uppers = self.space.bounds_of(loop)
        inside = [s for op, s in self.statements.items() if is_inside(op, loop)]
        for guard in self.shared_guards(inside):
            bound = self.as_bound(guard, number)
            if bound is None or not may(BOUND.name, loop):
                continue
            BOUND.add()
            is_lower, expr = bound
            (lowers if is_lower else uppers).append(expr)
            for statement in inside:
                self.reductions.discharged[statement.op].append(guard)
        lower_args, lower_exprs = self.space.project(lowers, [])
        upper_args, upper_exprs = self.space.project(uppers, [])
        return (
            AffineMap(len(lower_args), 0, tuple(lower_exprs)),
            AffineMap(len(upper_args), 0, tuple(upper_exprs)),
            lower_args,
            upper_args,
        )

    def shared_guards(self, statements: Sequence[Statement]) -> list[AffineExpr]:
        """Guards under which every one of these statements is skipped."""

        def guards(statement: Statement) -> list[AffineExpr]:
            done = self.reductions.discharged[statement.op]
            group = self.reductions.accumulations.get(statement.op)
            absorbed = statement.absorbed if group is not None and group.is_open else []
            return [g for g in [*statement.guards, *absorbed] if g not in done]

        if not statements:
            return []
        first, *rest = [guards(statement) for statement in statements]
        return [guard for guard in first if all(guard in others for others in rest)]

    def as_bound(self, guard: AffineExpr, number: int) -> tuple[bool, AffineExpr] | None:
        """`guard >= 0` solved for one loop: (is a lower bound, bound), if it can be.

        c*x + r >= 0: x >= ceil(-r / c) for c > 0, x < floor(r / -c) + 1 for c < 0.
        """
        in_scope = {n for n in self.space.values if n not in self.space.axes}
        dims, syms = used(guard)
        if syms or number not in dims or not dims - {number} <= in_scope:
            return None
        terms = linear_terms(guard)
        factor = terms.pop(dim(number), 0)
        rest = from_terms(terms)
        if factor == 0 or number in used(rest)[0]:
            return None
        if factor > 0:
            return True, self.space.simplify((rest * -1 + (factor - 1)) // factor)
        return False, self.space.simplify(rest // -factor + 1)

    def visit_stmt(self, statement: Statement) -> None:
        """A statement, inside a condition where a guard concerns loops alone."""
        self.explain_guards(statement)
        group = self.reductions.accumulations.get(statement.op)
        is_root = group is not None and group.root is statement.op
        if group is not None and is_root:
            self.reductions.open(group)
        if group is not None:
            self.reductions.accumulate(statement, group)
        else:
            scalar = [
                g
                for g in self.reductions.masks(statement).guards
                if not self.space.axis_numbers([g])
            ]
            kept = any(buffer_type(o).space.data == "register" for o in statement.op.outs)
            if scalar and not kept:  # registers that a branch has written end with it
                self.conditional(statement, scalar)
            else:
                self.assign(statement)
        if group is not None and is_root:
            self.reductions.close(group)

    def explain_guards(self, statement: Statement) -> None:
        """Say why what is left of a statement's guards is no bound of a loop."""
        for guard in self.reductions.masks(statement).guards if listener() is not None else ():
            what = (
                "it concerns lanes or registers of a tile"
                if self.space.axis_numbers([guard])
                else "it is not solved for one loop, or a statement beside it runs where it fails"
            )
            why_not(statement.op, f"a guard stays with it, for no loop's bound can say it: {what}")

    def conditional(self, statement: Statement, guards: list[AffineExpr]) -> None:
        """Run a statement where guards over loops hold."""
        operands, exprs = self.space.project(guards, [])
        kind = AffineConstraintKind.ge
        constraints = tuple(AffineConstraintExpr(kind, expr, const(0)) for expr in exprs)
        condition = AffineSet(len(operands), 0, constraints)
        block = Block()
        self.reductions.discharged[statement.op].extend(guards)
        with self.inside(block):
            self.assign(statement)
        self.emit(IfOp(condition, operands, Region(block)))

    def assign(self, statement: Statement) -> None:
        """A statement that does not reduce."""
        masks = self.reductions.masks(statement)
        for index, value in enumerate(self.writer.body(statement, statement.op.body.block, masks)):
            self.writer.write(statement, index, value, masks)


def _hand_out(parts: Sequence[Part], values: Sequence[SSAValue]) -> None:
    """Give each part its share of a list of values."""
    position = 0
    for part in parts:
        part.values = list(values[position : position + len(part.values)])
        position += len(part.values)


def form_tiles(kernel: KernelOp) -> None:
    """Bring one kernel from nest form to tile form, in place.

    Raises: PassError: a register buffer with an index that is not constant, a body without a tile
        form, a loop without constant bounds.
    """
    TileFormer(kernel).run()


@dataclass(frozen=True)
class FormTilesPass(OpPass[KernelOp]):
    """Loops marked vectorize or unroll become axes of n-D tile values."""

    name = "form-tiles"
    statistics = (BOUND, HOISTED)

    def run(self, ctx: Context, op: KernelOp) -> None:
        form_tiles(op)
