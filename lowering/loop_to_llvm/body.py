"""Tile form to LLVM IR: stores, loops and conditionals, in order.

A tile op writes nothing by itself: a store, or a loop that carries values, asks for registers
(registers.py). What a loop or conditional needs from outside is written before it, and so are loads
that a store would overtake.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import AffineExpr

from ...core.affine import Range, bounds, const, simplify, substitute
from ...dialects.loop import (
    ForOp,
    IfOp,
    LoadOp,
    PrefetchOp,
    StoreOp,
    TileType,
    YieldOp,
    buffer_type,
    tile_type,
)
from ...targets import Target
from .memory import strides
from .registers import Register, Registers
from .text import FunctionWriter, element_bytes


class BodyWriter:
    """Writes the ops of one function."""

    def __init__(self, writer: FunctionWriter, target: Target, buffers: dict[SSAValue, str]):
        self.writer = writer
        self.tiles = Registers(writer, target, buffers)
        self.indices = self.tiles.indices
        self.pending: list[list[LoadOp]] = [[]]

    def block(self, block: Block) -> None:
        """The ops of a block, up to its yield."""
        for op in block.ops:
            self.visit(op)

    def visit(self, op: Operation) -> None:
        """Write an op that has an effect; note a load; leave the rest until it is asked for."""
        outer, self.writer.source = self.writer.source, op
        self.write(op)
        self.writer.source = outer

    def write(self, op: Operation) -> None:
        """What `visit` does for each kind of op."""
        if isinstance(op, LoadOp):
            self.pending[-1].append(op)
        elif isinstance(op, StoreOp):
            self.settle({op.dest})
            self.store(op)
        elif isinstance(op, PrefetchOp):
            self.prefetch(op)
        elif isinstance(op, ForOp):
            self.prepare(op)
            self.loop(op)
        elif isinstance(op, IfOp):
            self.prepare(op)
            self.branch(op)

    def settle(self, written: set[SSAValue]) -> None:
        """Write the loads that must come before a store to one of these buffers."""
        for loads in self.pending:
            for load in loads:
                if load.source in written:
                    self.tiles.force(load.res)

    def prepare(self, op: ForOp | IfOp) -> None:
        """Write what a region uses from outside, and loads that it would overtake."""
        written: set[SSAValue] = set()
        defined: set[SSAValue] = set()
        used: list[SSAValue] = []
        for inner in op.walk():
            if isinstance(inner, StoreOp):
                written.add(inner.dest)
            defined.update(inner.results)
            for region in inner.regions:
                for block in region.blocks:
                    defined.update(block.args)
            if inner is not op:
                used.extend(inner.operands)
        self.settle(written)
        for value in dict.fromkeys(used):
            if value not in defined and isinstance(value.type, TileType):
                self.tiles.force(value)

    def store(self, op: StoreOp) -> None:
        access = self.tiles.access(op)
        for position in self.tiles.positions(tile_type(op.value)):
            mask = self.tiles.mask_of(op.mask, position)
            if mask != "false":
                value = self.tiles.vector(op.value, position)
                self.tiles.memory.store(op, access, position, value, mask)

    def prefetch(self, op: PrefetchOp) -> None:
        """Ask for a line of memory to be read, and kept in all caches."""
        buffer = buffer_type(op.source)
        logical = [substitute(e, self.indices.dims(list(op.ivs))) for e in op.map.data.results]
        physical = [substitute(expr, logical) for expr in buffer.layout_map.results]
        size = element_bytes(buffer.element_type)
        offset = sum(
            (expr * (n * size) for expr, n in zip(physical, strides(buffer), strict=True)),
            start=const(0),
        )
        place = self.tiles.lanes.index_vector(simplify(offset, self.indices.known()), 1)
        # not inbounds: the element may lie outside the buffer
        base = self.tiles.buffers[op.source]
        pointer = self.writer.define(f"getelementptr i8, ptr {base}, i64 {place}")
        read, keep, data = ("i32", "0"), ("i32", "3"), ("i32", "1")
        self.writer.call("void", "llvm.prefetch.p0", [("ptr", pointer), read, keep, data])

    def bound(self, exprs: Sequence[AffineExpr], args: Sequence[SSAValue], stem: str) -> str:
        """The maximum or minimum of index expressions."""
        result: str | None = None
        for expr in exprs:
            over = substitute(expr, self.indices.dims(args))
            value = self.tiles.lanes.index_vector(over, 1)
            if result is None:
                result = value
            elif result != value:
                args_ = [("i64", result), ("i64", value)]
                result = self.writer.call("i64", f"llvm.{stem}.i64", args_)
        assert result is not None
        return result

    def interval(self, op: ForOp) -> Range | None:
        """What is known of a loop's variable."""
        known = self.indices.known()
        ends: list[int | None] = [None, None]
        for side, map_, args in ((0, op.lower, op.lower_args), (1, op.upper, op.upper_args)):
            for expr in map_.data.results:
                span = bounds(substitute(expr, self.indices.dims(list(args))), known)
                if span is not None:
                    end = span[0] if side == 0 else span[1] - 1
                    held = ends[side]
                    best = max if side == 0 else min
                    ends[side] = end if held is None else best(held, end)
        low, high = ends
        return None if low is None or high is None else (low, max(high, low + 1))

    def loop(self, op: ForOp, override: tuple[str, str] | None = None) -> None:
        """A loop with its test at the end, carried registers as phis."""
        lower = self.bound(op.lower.data.results, list(op.lower_args), "smax")
        upper = self.bound(op.upper.data.results, list(op.upper_args), "smin")
        interval = self.interval(op)
        if override is not None:
            lower, upper = override
        runs = override is None and lower.lstrip("-").isdigit() and upper.lstrip("-").isdigit()
        runs = runs and int(lower) < int(upper)
        inits = self.tiles.all_of(list(op.inits))
        body, done = self.writer.fresh_label("loop"), self.writer.fresh_label("done")
        if runs:
            self.writer.line(f"br label %{body}")
        else:
            enter = self.writer.define(f"icmp slt i64 {lower}, {upper}")
            self.writer.line(f"br i1 {enter}, label %{body}, label %{done}")
        before = self.writer.label
        iv = self.writer.name("i")
        scope = self.writer.enter(body)
        self.pending.append([])
        self.indices.add(op.variable, iv, interval)
        phis = self._carry(op)
        self.block(op.body.block)
        yielded = self._yielded(op.body.block)
        step = self.writer.define(f"add nsw i64 {iv}, 1")
        again = self.writer.define(f"icmp slt i64 {step}, {upper}")
        latch = self.writer.label
        self.writer.line(f"br i1 {again}, label %{body}, label %{done}")
        scope.head.append(f"  {iv} = phi i64 [ {lower}, %{before} ], [ {step}, %{latch} ]")
        for phi, init, last in zip(phis, inits, yielded, strict=True):
            scope.head.append(
                f"  {phi} = phi {init.type} [ {init.name}, %{before} ], [ {last.name}, %{latch} ]"
            )
        self.pending.pop()
        self.writer.leave()
        self.writer.start_block(done)
        self._results(op, inits, yielded, None if runs else before, latch)

    def _carry(self, op: ForOp) -> list[str]:
        """Names of the carried registers inside the loop."""
        names: list[str] = []
        for argument in op.body.block.args[1:]:
            for position in self.tiles.positions(tile_type(argument)):
                name = self.writer.name("a")
                self.writer.scope.memo[(argument, position)] = name
                names.append(name)
        return names

    def _yielded(self, block: Block) -> list[Register]:
        last = block.last_op
        return self.tiles.all_of(list(last.operands)) if isinstance(last, YieldOp) else []

    def _results(
        self,
        op: ForOp,
        inits: Sequence[Register],
        yielded: Sequence[Register],
        before: str | None,
        latch: str,
    ) -> None:
        """Registers after the loop: the last ones, or the first where it may not have run."""
        places = [(res, at) for res in op.results for at in self.tiles.positions(tile_type(res))]
        for (result, position), init, last in zip(places, inits, yielded, strict=True):
            name = last.name
            if before is not None:
                name = self.writer.define(
                    f"phi {init.type} [ {init.name}, %{before} ], [ {name}, %{latch} ]"
                )
            self.writer.scope.memo[(result, position)] = name

    def branch(self, op: IfOp) -> None:
        """A conditional; its results are phis of what the two sides yield."""
        condition = self.condition(op)
        then, join = self.writer.fresh_label("then"), self.writer.fresh_label("join")
        otherwise = self.writer.fresh_label("else") if op.otherwise is not None else join
        self.writer.line(f"br i1 {condition}, label %{then}, label %{otherwise}")
        sides: list[tuple[list[Register], str]] = []
        for label, region in ((then, op.then), (otherwise, op.otherwise)):
            if region is not None:
                self.writer.enter(label)
                self.pending.append([])
                self.block(region.block)
                sides.append((self._yielded(region.block), self.writer.label))
                self.writer.line(f"br label %{join}")
                self.pending.pop()
                self.writer.leave()
        self.writer.start_block(join)
        places = [(res, at) for res in op.results for at in self.tiles.positions(tile_type(res))]
        for number, place in enumerate(places):
            ends = ", ".join(f"[ {found[number].name}, %{label} ]" for found, label in sides)
            type_ = sides[0][0][number].type
            self.writer.scope.memo[place] = self.writer.define(f"phi {type_} {ends}")

    def condition(self, op: IfOp) -> str:
        """Whether all constraints of a conditional hold: "true", "false" or an i1."""
        condition = "true"
        dims = self.indices.dims(list(op.ivs))
        for constraint in op.condition.data.constraints:
            expr = simplify(substitute(constraint.lhs, dims), self.indices.known())
            part = self.tiles.lanes.constraint(expr, constraint.kind, 1)
            if part == "false":
                return part
            condition = self.tiles.lanes.both(condition, part, 1)
        return condition
