"""Reductions in tile form: accumulators are tiles, carried by the loops that are summed over.

The *root* of a reduction is the outermost of those loops. Before it stands the neutral element, or
what earlier rounds of loops further out have written; after it the result is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

from xdsl.dialects.builtin import FloatAttr
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap

from ...core.affine import const, dim, substitute, used
from ...core.errors import PassError
from ...core.explain import listener, why_not
from ...core.locations import describe
from ...core.walk import is_inside
from ...dialects import te
from ...dialects.combiners import combine_op, neutral_elements
from ...dialects.intrinsics import INTRINSICS, match_body
from ...dialects.loop import (
    ContractOp,
    ForOp,
    IntrinsicOp,
    PickOp,
    ReadOp,
    ReduceOp,
    StmtOp,
    buffer_type,
    tile_type,
)
from .tile_body import Masks, TileWriter
from .tile_space import MARKED, LoopSpace, Statement, loops_around


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


@dataclass
class Reductions:
    """All reductions of a kernel.

    Attributes:
        at: says which op the next tile ops come from.
        discharged: guards of a statement that have been seen to.
        accumulations: by statement.
        roots: reductions by the op that they begin and end around.
    """

    space: LoopSpace
    writer: TileWriter
    statements: dict[StmtOp, Statement]
    at: Callable[[Operation], None]
    discharged: dict[StmtOp, list[AffineExpr]] = field(
        default_factory=dict[StmtOp, list[AffineExpr]]
    )
    accumulations: dict[StmtOp, Accumulation] = field(default_factory=dict[StmtOp, Accumulation])
    roots: dict[Operation, list[Accumulation]] = field(
        default_factory=dict[Operation, list[Accumulation]]
    )

    def __post_init__(self) -> None:
        self.discharged = {op: [] for op in self.statements}
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

    def carried_by(self, loop: ForOp) -> list[Part]:
        """Accumulators that a loop must carry: those of statements inside it, begun outside."""
        return [
            part
            for groups in self.roots.values()
            for group in groups
            if group.is_open
            for part in group.parts
            if any(is_inside(s.op, loop) for s in part.statements)
        ]

    def _chain_root(self, statement: Statement) -> Operation:
        """The outermost loop of those around a reduction that only its reduce axes depend on."""
        root: Operation = statement.op
        parent = statement.op.parent_op()
        while isinstance(parent, ForOp):
            number = self.space.numbers[parent.variable]
            stays = parent.kind.data not in MARKED and bool(
                used(self.space.exprs[parent.variable])[0]
            )
            is_summed = number in statement.reduce_numbers
            if stays and not (is_summed and self._only_reduces(parent, statement)):
                self._explain_root(statement, parent)
                break
            root = parent if stays else root
            parent = parent.parent_op()
        return root

    def _explain_root(self, statement: Statement, stop: ForOp) -> None:
        """Say that a sum goes through memory, if a loop outside `stop` adds to it, too."""
        outer: Operation | None = stop
        while listener() is not None and isinstance(outer, ForOp):
            if self.space.numbers[outer.variable] in statement.reduce_numbers:
                name, inner = outer.loop_name.data, stop.loop_name.data
                why_not(
                    statement.op,
                    f"each round of loop {name} adds to it in memory: loop {inner} stands between "
                    "that loop and the sum, or belongs to its result, so no register carries it",
                )
                return
            outer = outer.parent_op()

    def _only_reduces(self, loop: ForOp, statement: Statement) -> bool:
        """Whether every part of this reduction in the loop depends on it by reduce axes at most."""
        number = self.space.numbers[loop.variable]
        name = statement.op.sym_name
        parts = [
            s for op, s in self.statements.items() if op.sym_name == name and is_inside(op, loop)
        ]
        return all(number not in s.parallel_numbers for s in parts)

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
        return Masks([g for g in statement.guards if g not in done], done, statement.guard_axes)

    def elements(self, statement: Statement) -> list[Attribute]:
        """Element types of what a statement writes."""
        return [buffer_type(out).element_type for out in statement.op.outs]

    def open(self, group: Accumulation) -> None:
        """Before the root: start values, neutral unless an outer loop has already added."""
        for number, part in enumerate(group.parts):
            statement = part.first
            self.at(statement.op)
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
            self.at(statement.op)
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

    def accumulate(self, statement: Statement, group: Accumulation) -> None:
        """Combine one round of a reduction into what is carried."""
        masks = self.masks(statement)
        op = statement.op
        reduce_guards = [g for g in masks.guards if used(g)[0] & statement.reduce_numbers]
        mask = self.writer.mask(reduce_guards)
        part = group.part_of(statement)
        own = self.accumulator_axes(statement)
        accs = self.writer.relabel_all(part.values, part.axes, own)
        if op.intrinsic is not None:
            accs = [self.instruction(statement, masks, accs[0])]
            part.values = self.writer.relabel_all(accs, own, part.axes)
            return
        if op.combiner is not None and len(op.combiner) == 1:
            product = self.product(statement, masks, mask)
            if product is not None and op.combiner.data[0].data == "sum":
                accs = [self.writer.add(ContractOp(*product, accs[0]))]
                part.values = self.writer.relabel_all(accs, own, part.axes)
                return
        values = self.writer.body(statement, op.body.block, masks)
        elements = self.elements(statement)
        if mask is not None:
            neutral = [_absent(value) for value in neutral_elements(op, elements)]
            values = [
                self.writer.elementwise(
                    "arith.select", [mask, value, self.writer.constant(rest, element)], element
                )
                for value, rest, element in zip(values, neutral, elements, strict=True)
            ]
        accs = self.combined(statement, values, accs)
        part.values = self.writer.relabel_all(accs, own, part.axes)

    def instruction(self, statement: Statement, masks: Masks, acc: SSAValue) -> SSAValue:
        """One round of a statement that is a machine instruction."""
        op = statement.op
        assert op.intrinsic is not None
        name = op.intrinsic.data
        terms, lanes = (loop.loop_name.data for loop in islice(loops_around(op), 2))
        described = INTRINSICS[name].compute(self.lanes_of(lanes))
        reads = match_body(described.body.block, op.body.block)
        if reads is None:
            raise PassError(f"the statement is not {name} any more", where=describe(op))
        args: list[SSAValue] = []
        for wanted in described.body.block.ops:
            if isinstance(wanted, te.ReadOp):
                read = reads[wanted.source]
                assert isinstance(read, ReadOp)
                args.append(self.writer.read(statement, read, [], masks))
        return self.writer.add(IntrinsicOp(name, [lanes, terms], args, acc))

    def lanes_of(self, label: str) -> int:
        """The extent of a tile axis."""
        return next(axis.extent for axis in self.space.axes.values() if axis.label == label)

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
            why_not(statement.op, "no loop.contract: what it adds up is no product of floats")
            return None
        values: dict[SSAValue, SSAValue] = {}
        for op in block.ops:
            if op is root:
                self.writer.at(op)
                break
            for result in op.results:
                values[result] = self.writer.scalar_op(statement, op, values, masks)
        factors = [values[operand] for operand in root.operands]
        if mask is not None:
            element = root.results[0].type
            neutral = neutral_elements(statement.op, [element])[0]
            zero = self.writer.constant(_absent(neutral), element)
            factors = [
                self.writer.elementwise("arith.select", [mask, factor, zero], element)
                for factor in factors
            ]
        return factors[0], factors[1]


def _absent(neutral: Attribute) -> Attribute:
    """What stands for a term that is masked off: the neutral element, of sums -0.

    Of a select with +0 LLVM makes an expand, which on Zen 4 waits for its result's last value.
    """
    if not isinstance(neutral, FloatAttr):
        return neutral
    number = cast("FloatAttr[Any]", neutral)
    return FloatAttr(-0.0, number.type) if number.value.data == 0 else number
