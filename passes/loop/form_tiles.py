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
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import IndexType, ModuleOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import (
    AffineConstraintExpr,
    AffineConstraintKind,
    AffineExpr,
    AffineMap,
    AffineSet,
)
from xdsl.passes import ModulePass

from ...core.affine import const, dim, from_terms, linear_terms, substitute, used
from ...core.errors import PassError
from ...core.locations import describe
from ...dialects.combiners import neutral_elements
from ...dialects.loop import (
    AllocOp,
    ContractOp,
    ForOp,
    IfOp,
    KernelOp,
    PickOp,
    ReduceOp,
    StmtOp,
    YieldOp,
    buffer_type,
    tile_type,
)
from .hoist import hoist_invariants
from .tile_body import Masks, TileWriter, combine_op
from .tile_space import MARKED, LoopSpace, Statement


@dataclass
class Part:
    """What one or several statements accumulate in the same tiles.

    The clones of a partition have tile axes of their own names; `axes` are the first one's.
    """

    statements: list[Statement]
    axes: list[int]
    values: list[SSAValue] = field(default_factory=list[SSAValue])

    @property
    def first(self) -> Statement:
        """The statement that stands for all."""
        return self.statements[0]


@dataclass
class Accumulation:
    """One reduction being carried through the loops from `root` on.

    A split or partition leaves several statements; those with other tiles (a peeled end) add up in
    parts of their own.
    """

    root: Operation
    parts: list[Part] = field(default_factory=list[Part])
    is_open: bool = False

    @property
    def first(self) -> Statement:
        """The statement that stands for all."""
        return self.parts[0].first

    @property
    def name(self) -> str:
        """The compute's symbol."""
        return self.first.op.sym_name.data

    def add(self, statement: Statement, axes: list[int], space: LoopSpace) -> None:
        """One more statement."""
        for part in self.parts:
            if space.alike(part.axes, axes):
                part.statements.append(statement)
                return
        self.parts.append(Part([statement], axes))

    def part_of(self, statement: Statement) -> Part:
        """The part that a statement adds to."""
        return next(part for part in self.parts if statement in part.statements)


class TileFormer:
    """Rewrites the body of one kernel."""

    def __init__(self, kernel: KernelOp):
        self.kernel = kernel
        self.space = LoopSpace.of(kernel)
        self.block = Block()
        self.location = kernel.location
        self.writer = TileWriter(self.space, self.emit)
        stmts = [op for op in kernel.body.walk() if isinstance(op, StmtOp)]
        self.statements = {op: Statement.of(op, self.space) for op in stmts}
        self.discharged: dict[StmtOp, list[AffineExpr]] = {op: [] for op in stmts}
        self.accumulations: dict[StmtOp, Accumulation] = {}
        self.roots: dict[Operation, list[Accumulation]] = {}
        self._find_accumulations()

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

    @contextmanager
    def inside(self, block: Block) -> Generator[None]:
        """Write into another block."""
        saved, self.block = self.block, block
        yield
        self.block = saved

    # Reductions.

    def _find_accumulations(self) -> None:
        for op, statement in self.statements.items():
            if not op.is_reduction:
                continue
            root = self._chain_root(statement)
            groups = self.roots.setdefault(root, [])
            group = next((g for g in groups if g.name == op.sym_name.data), None)
            if group is None:
                group = Accumulation(root)
                groups.append(group)
            group.add(statement, self.accumulator_axes(statement), self.space)
            self.accumulations[op] = group

    def _chain_root(self, statement: Statement) -> Operation:
        """The outermost loop of those around a reduction that only its reduce axes depend on."""
        root: Operation = statement.op
        parent = statement.op.parent_op()
        while isinstance(parent, ForOp):
            number = self.space.numbers[parent.variable]
            stays = parent.kind.data not in MARKED and bool(
                used(self.space.exprs[parent.variable])[0]
            )
            if stays and (number in statement.parallel_numbers or parent.kind.data == "parallel"):
                break
            if stays and not self._only_reduces(parent, statement.op.sym_name.data):
                break
            root = parent if stays else root
            parent = parent.parent_op()
        return root

    def _only_reduces(self, loop: ForOp, name: str) -> bool:
        """Whether every statement of this name in the loop depends on it by reduce axes at most."""
        number = self.space.numbers[loop.variable]
        inside = [
            s for op, s in self.statements.items() if op.sym_name.data == name and _holds(loop, op)
        ]
        return all(number not in s.parallel_numbers for s in inside)

    def accumulator_axes(self, statement: Statement) -> list[int]:
        """The tile axes of what a reduction carries: parallel ones, and a reduced lanes axis."""
        marked = [n for n in self.space.axes if n in statement.parallel_numbers]
        return self.space.in_order([*marked, *self.reduced_lanes(statement)])

    def reduced_lanes(self, statement: Statement) -> list[int]:
        """The lanes axis, if the statement reduces over it."""
        return [
            n
            for n in statement.reduce_numbers
            if n in self.space.axes and self.space.axes[n].is_lanes
        ]

    def masks(self, statement: Statement) -> Masks:
        """What accesses of a statement must still respect."""
        done = self.discharged[statement.op]
        return Masks([g for g in statement.guards if g not in done], done)

    def elements(self, statement: Statement) -> list[Attribute]:
        """Element types of what a statement writes."""
        return [buffer_type(out).element_type for out in statement.op.outs]

    def open(self, group: Accumulation) -> None:
        """Before the root: start values, neutral unless an outer loop has already added."""
        for number, part in enumerate(group.parts):
            statement = part.first
            self.location = statement.op.location
            elements = self.elements(statement)
            neutral = neutral_elements(statement.op, elements)
            part.values = [
                self.writer.constant(value, element, part.axes)
                for value, element in zip(neutral, elements, strict=True)
            ]
            if number == 0 and not self.reduced_lanes(statement):
                part.values = self.continued(statement, part.values)
        group.is_open = True

    def continued(self, statement: Statement, start: list[SSAValue]) -> list[SSAValue]:
        """`start` in the first round of the loops outside the root, what has been written after."""
        root = self.accumulations[statement.op].root
        inner = {self.space.numbers[o.variable] for o in root.walk() if isinstance(o, ForOp)}
        lows = [
            const(self.space.extent(n)[0]) if n in inner or n in self.space.axes else None
            for n in range(len(self.space.ranges.dims))
        ]
        dims = [low if low is not None else dim(n) for n, low in enumerate(lows)]
        firsts = [
            self.space.simplify(substitute(expr, dims))
            for axis, expr in zip(statement.op.axes, statement.axis_exprs, strict=True)
            if axis.is_reduce
        ]
        conditions = [expr for expr in firsts if expr != const(0)]
        if not conditions:
            return start
        masks = self.masks(statement)
        result: list[SSAValue] = []
        for index, value in enumerate(start):
            held = self.writer.load_out(statement, index, masks)
            if any(not self.space.loop_numbers([expr]) for expr in conditions):
                result.append(held)  # a later part of a partitioned loop: never the first
                continue
            first = self.writer.mask(conditions, equal=True)
            assert first is not None
            element = tile_type(value).element_type
            result.append(self.writer.elementwise("arith.select", [first, value, held], element))
        return result

    def close(self, group: Accumulation) -> None:
        """After the root: combine lanes and parts, write the result."""
        total: list[SSAValue] | None = None
        first_lanes = self.reduced_lanes(group.first)
        first_axes = [n for n in group.parts[0].axes if n not in first_lanes]
        for part in group.parts:
            statement = part.first
            self.location = statement.op.location
            lanes = self.reduced_lanes(statement)
            held = [n for n in part.axes if n not in lanes]
            start = None if total is None else self.writer.relabel_all(total, first_axes, held)
            if lanes:
                total = self.combine_lanes(statement, part.values, start, lanes[0])
            else:
                total = part.values if start is None else self.fold(statement, start, part.values)
            total = self.writer.relabel_all(total, held, first_axes)
        assert total is not None
        statement = group.first
        for index, value in enumerate(total):
            self.writer.write(statement, index, value, self.masks(statement))
        group.is_open = False

    def fold(
        self, statement: Statement, accs: list[SSAValue], values: list[SSAValue]
    ) -> list[SSAValue]:
        """Accumulators combined with values of the same axes."""
        op = statement.op
        if op.combiner is None:
            assert op.combine is not None
            return self.writer.inline(op.combine.block, [*accs, *values])
        return [
            self.writer.elementwise(
                combine_op(name.data, tile_type(acc).element_type),
                [acc, value],
                tile_type(acc).element_type,
            )
            for name, acc, value in zip(op.combiner, accs, values, strict=True)
        ]

    def combine_lanes(
        self,
        statement: Statement,
        values: list[SSAValue],
        start: list[SSAValue] | None,
        axis: int,
    ) -> list[SSAValue]:
        """Reduce the lanes axis of accumulators into `start`, or what outer loops have gathered."""
        elements = self.elements(statement)
        rest = [n for n in self.accumulator_axes(statement) if n != axis]
        if start is None:
            neutral = neutral_elements(statement.op, elements)
            start = [
                self.writer.constant(value, element, rest)
                for value, element in zip(neutral, elements, strict=True)
            ]
            start = self.continued(statement, start)
        if statement.op.combiner is None:
            return self.combine_points(statement, values, start, axis)
        label = self.space.axes[axis].label
        names = [name.data for name in statement.op.combiner]
        return [
            self.writer.add(ReduceOp(name, label, value, first))
            for name, value, first in zip(names, values, start, strict=True)
        ]

    def combine_points(
        self, statement: Statement, values: list[SSAValue], start: list[SSAValue], axis: int
    ) -> list[SSAValue]:
        """Run a combine region over one axis of the values, point by point, in order."""
        assert statement.op.combine is not None
        for point in range(self.space.axes[axis].extent):
            picked: list[SSAValue] = []
            for value in values:
                numbers = self.writer.numbers_of(value)
                rest = [n for n in numbers if n != axis]
                dims = tuple(const(point) if n == axis else dim(rest.index(n)) for n in numbers)
                type_ = self.writer.tile(rest, tile_type(value).element_type)
                has_axis = axis in numbers
                pick = PickOp(value, AffineMap(len(rest), 0, dims), type_) if has_axis else None
                picked.append(self.writer.add(pick) if pick else value)
            start = self.writer.inline(statement.op.combine.block, [*start, *picked])
        return start

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
            elif not isinstance(op, YieldOp):
                raise PassError(f"'{op.name}' has no place in nest form", where=describe(op))

    def visit_for(self, loop: ForOp) -> None:
        """A marked loop becomes tile axes; another is written, with what it must carry."""
        groups = self.roots.get(loop, [])
        for group in groups:
            self.open(group)
        number = self.space.numbers[loop.variable]
        low, high = self.space.extent(number)
        vanishes = loop.kind.data in MARKED or not used(self.space.exprs[loop.variable])[0]
        if high > low:
            self.visit_block(loop.body.block) if vanishes else self.write_for(loop)
        for group in groups:
            self.close(group)

    def write_for(self, loop: ForOp) -> None:
        """A serial or parallel loop of tile form."""
        carried = [
            part
            for groups in self.roots.values()
            for group in groups
            if group.is_open
            for part in group.parts
            if any(_holds(loop, s.op) for s in part.statements)
        ]
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
        inside = [s for op, s in self.statements.items() if _holds(loop, op)]
        for guard in self.shared_guards(inside):
            bound = self.as_bound(guard, number)
            if bound is None:
                continue
            is_lower, expr = bound
            (lowers if is_lower else uppers).append(expr)
            for statement in inside:
                self.discharged[statement.op].append(guard)
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
            done = self.discharged[statement.op]
            group = self.accumulations.get(statement.op)
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
        group = self.accumulations.get(statement.op)
        is_root = group is not None and group.root is statement.op
        if group is not None and is_root:
            self.open(group)
        if group is not None:
            self.accumulate(statement, group)
        else:
            scalar = [g for g in self.masks(statement).guards if not self.space.axis_numbers([g])]
            if scalar:
                self.conditional(statement, scalar)
            else:
                self.assign(statement)
        if group is not None and is_root:
            self.close(group)

    def conditional(self, statement: Statement, guards: list[AffineExpr]) -> None:
        """Run a statement where guards over loops hold."""
        operands, exprs = self.space.project(guards, [])
        kind = AffineConstraintKind.ge
        constraints = tuple(AffineConstraintExpr(kind, expr, const(0)) for expr in exprs)
        condition = AffineSet(len(operands), 0, constraints)
        block = Block()
        self.discharged[statement.op].extend(guards)
        with self.inside(block):
            self.assign(statement)
        self.emit(IfOp(condition, operands, Region(block)))

    def assign(self, statement: Statement) -> None:
        """A statement that does not reduce."""
        masks = self.masks(statement)
        for index, value in enumerate(self.writer.body(statement, statement.op.body.block, masks)):
            self.writer.write(statement, index, value, masks)

    def accumulate(self, statement: Statement, group: Accumulation) -> None:
        """Combine one round of a reduction into what is carried."""
        masks = self.masks(statement)
        op = statement.op
        reduce_guards = [g for g in masks.guards if used(g)[0] & statement.reduce_numbers]
        mask = self.writer.mask(reduce_guards)
        part = group.part_of(statement)
        own = self.accumulator_axes(statement)
        accs = self.writer.relabel_all(part.values, part.axes, own)
        if op.combiner is not None and len(op.combiner) == 1:
            product = self.product(statement, masks, mask)
            if product is not None and op.combiner.data[0].data == "sum":
                accs = [self.writer.add(ContractOp(*product, accs[0]))]
                part.values = self.writer.relabel_all(accs, own, part.axes)
                return
        values = self.writer.body(statement, op.body.block, masks)
        elements = self.elements(statement)
        if mask is not None:
            neutral = neutral_elements(op, elements)
            values = [
                self.writer.elementwise(
                    "arith.select", [mask, value, self.writer.constant(rest, element)], element
                )
                for value, rest, element in zip(values, neutral, elements, strict=True)
            ]
        accs = self.combined(statement, values, accs)
        part.values = self.writer.relabel_all(accs, own, part.axes)

    def combined(
        self, statement: Statement, values: list[SSAValue], accs: list[SSAValue]
    ) -> list[SSAValue]:
        """Accumulators after one round of values, over all register axes that are reduced."""
        lanes = self.reduced_lanes(statement)
        held = set(self.writer.numbers_of(*values))
        axes = [n for n in sorted(statement.reduce_numbers & held) if n not in lanes]
        axes = [n for n in axes if n in self.space.axes]
        if statement.op.combiner is None:
            return self.combined_by_region(statement, values, accs, axes)
        result: list[SSAValue] = []
        names = [name.data for name in statement.op.combiner]
        for name, value, acc in zip(names, values, accs, strict=True):
            element = tile_type(acc).element_type
            outer = [n for n in self.writer.numbers_of(value) if n in axes]
            for n in outer[:-1]:  # fold all but the last into it is one reduce per axis
                rest = [m for m in self.writer.numbers_of(value) if m != n]
                neutral = neutral_elements(statement.op, self.elements(statement))[len(result)]
                start = self.writer.constant(neutral, element, rest)
                value = self.writer.add(ReduceOp(name, self.space.axes[n].label, value, start))
            if outer:
                label = self.space.axes[outer[-1]].label
                result.append(self.writer.add(ReduceOp(name, label, value, acc)))
            else:
                combine = combine_op(name, element)
                result.append(self.writer.elementwise(combine, [acc, value], element))
        return result

    def combined_by_region(
        self,
        statement: Statement,
        values: list[SSAValue],
        accs: list[SSAValue],
        axes: list[int],
    ) -> list[SSAValue]:
        """As `combined`, with the statement's own combine region."""
        assert statement.op.combine is not None
        if len(axes) > 1:
            raise PassError(
                f"the reduction '{statement.op.sym_name.data}' has several unrolled reduce axes",
                where=describe(statement.op),
                hint="unroll one of them",
            )
        if axes:
            result = self.combine_points(statement, values, accs, axes[0])
        else:
            result = self.writer.inline(statement.op.combine.block, [*accs, *values])
        wanted = self.accumulator_axes(statement)
        return [self.writer.broadcast(value, wanted) for value in result]

    def product(
        self, statement: Statement, masks: Masks, mask: SSAValue | None
    ) -> tuple[SSAValue, SSAValue] | None:
        """The two factors, if the body of a reduction is a float product."""
        block = statement.op.body.block
        last = block.last_op
        root = last.operands[0].owner if last is not None else None
        if not isinstance(root, Operation) or root.name != "arith.mulf" or root.next_op is not last:
            return None
        values: dict[SSAValue, SSAValue] = {}
        for op in block.ops:
            if op is root:
                break
            for result in op.results:
                values[result] = self.writer.scalar_op(statement, op, values, masks)
        factors = [values[operand] for operand in root.operands]
        if mask is not None:
            element = root.results[0].type
            zero = self.writer.constant(neutral_elements(statement.op, [element])[0], element)
            factors = [
                self.writer.elementwise("arith.select", [mask, factor, zero], element)
                for factor in factors
            ]
        return factors[0], factors[1]


def _holds(loop: Operation, op: Operation) -> bool:
    """Whether `op` stands inside `loop`."""
    parent = op.parent_op()
    while parent is not None:
        if parent is loop:
            return True
        parent = parent.parent_op()
    return False


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
class FormTilesPass(ModulePass):
    """Loops marked vectorize or unroll become axes of n-D tile values."""

    name = "form-tiles"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in op.body.walk():
            if isinstance(kernel, KernelOp):
                form_tiles(kernel)
