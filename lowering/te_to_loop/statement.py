"""One te.compute to one canonical nest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap

from ...core.affine import dim, sym
from ...core.errors import PassError
from ...core.irtypes import tensor_element
from ...core.locations import describe
from ...dialects import loop, te
from ...dialects.combiners import neutral_elements
from ...dialects.index_space import PARALLEL, AxisAttr
from ...dialects.loop.build import loop_nest, make_read, make_stmt
from .views import Step, View


def convert_compute(
    op: te.ComputeOp, outs: Sequence[View], views: Mapping[SSAValue, View], step: Step | None
) -> list[Operation]:
    """The nest of one compute: loops `<compute>.<axis>` in canonical order around a statement.

    A reduction over no points is a nest that stores the neutral element.
    """
    axes = [axis for axis in op.axes if not (_is_empty_reduction(op) and axis.is_reduce)]
    symbol = op.sym_name.data

    def leaf(ivs: list[SSAValue]) -> list[Operation]:
        return [_Statement(op, axes, ivs, views, step).build(outs)]

    return loop_nest([(f"{symbol}.{axis.label}", axis.size) for axis in axes], leaf)


def _is_empty_reduction(op: te.ComputeOp) -> bool:
    return any(axis.is_reduce and axis.size == 0 for axis in op.axes)


@dataclass
class _Statement:
    """Makes the statement of `op` inside loops with variables `ivs` (the scan's step apart)."""

    op: te.ComputeOp
    axes: Sequence[AxisAttr]
    ivs: Sequence[SSAValue]
    views: Mapping[SSAValue, View]
    step: Step | None

    def build(self, outs: Sequence[View]) -> loop.StmtOp:
        axes = [*self._step_axis(), *self.axes]
        num_steps = 0 if self.step is None else 1
        bind: list[AffineExpr] = [dim(num_steps + i) for i in range(len(self.axes))]
        if self._names_step and self.step is not None:
            bind.insert(0, self.step.expression(dim(0)))
        results = [dim(i) for i, axis in enumerate(self.axes) if not axis.is_reduce]
        identity = AffineMap(len(self.axes), 0, tuple(results))
        empty = len(self.axes) != len(self.op.axes)
        stmt = make_stmt(
            self.op.sym_name.data,
            axes,
            AffineMap(self._num_ivs, 0, tuple(bind)),
            self._all_ivs,
            [(view.buffer, self._map(identity, 0, view)) for view in outs],
            self._neutral() if empty else self._body(),
            combiner=[name.data for name in self.op.combiner or () if not empty],
            init=() if empty or self.op.init is None else self.op.init.data,
            combine=None if empty or self.op.combine is None else self._clone(self.op.combine),
        )
        stmt.location = self.op.location
        return stmt

    @property
    def _all_ivs(self) -> list[SSAValue]:
        return [*([self.step.loop_variable] if self.step else []), *self.ivs]

    @property
    def _num_ivs(self) -> int:
        return len(self._all_ivs)

    @property
    def _names_step(self) -> bool:
        """Whether the body uses the scan's step as a number (and not only as a read's index)."""
        if self.step is None:
            return False
        for use in self.step.argument.uses:
            inside = self.op.is_ancestor(use.operation)
            if inside and not isinstance(use.operation, te.ReadOp):
                return True
        return False

    def _step_axis(self) -> list[AxisAttr]:
        """The scan's axis as one more axis of the statement, where its body takes the step."""
        if not self._names_step or self.step is None:
            return []
        return [AxisAttr.get(self._step_label(), PARALLEL, self.step.size)]

    def _step_label(self) -> str:
        assert self.step is not None
        label = self.step.label
        while any(axis.label == label for axis in self.axes):
            label += "_"
        return label

    def _map(self, map_: AffineMap, num_opaque: int, view: View) -> AffineMap:
        """A map over the te axes as one of the statement: axes as dims, ivs as last symbols."""
        wide = AffineMap(map_.num_dims, num_opaque + self._num_ivs, map_.results)
        wide = view.access(wide, self.step, num_opaque)
        if not self._names_step:
            return wide
        shifted = [dim(i + 1) for i in range(map_.num_dims)]
        symbols = [sym(i) for i in range(wide.num_symbols)]
        return wide.replace_dims_and_symbols(shifted, symbols, map_.num_dims + 1, wide.num_symbols)

    def _neutral(self) -> Region:
        """A body that yields the neutral elements: what a reduction over no points is."""
        elements = neutral_elements(self.op, [tensor_element(r.type) for r in self.op.results])
        constants = [arith.ConstantOp(cast("Any", value)) for value in elements]
        return Region(Block([*constants, loop.YieldOp(*(c.result for c in constants))]))

    def _body(self) -> Region:
        return self._clone(self.op.body)

    def _clone(self, region: Region) -> Region:
        block = Block(arg_types=region.block.arg_types)
        values: dict[SSAValue, SSAValue] = dict(zip(region.block.args, block.args, strict=True))
        if region is self.op.body and self._names_step and self.step is not None:
            index = loop.IndexOp(self._step_label())
            block.add_op(index)
            values[self.step.argument] = index.res
        for op in region.block.ops:
            new = self._convert(op, values)
            new.location = op.location
            for old_result, result in zip(op.results, new.results, strict=True):
                result.name_hint = old_result.name_hint
                values[old_result] = result
            block.add_op(new)
        return Region(block)

    def _convert(self, op: Operation, values: dict[SSAValue, SSAValue]) -> Operation:
        if isinstance(op, te.ReadOp):
            return self._read(op, values)
        if isinstance(op, te.IndexOp):
            return loop.IndexOp(op.axis.data)
        if isinstance(op, te.CoeffOp):
            return loop.CoeffOp(op.values, self._map(op.map.data, 0, View(op.res)))
        if isinstance(op, te.YieldOp):
            return loop.YieldOp(*(values[value] for value in op.values))
        if missing := [value for value in op.operands if value not in values]:
            raise PassError(
                f"{op.name} in the body of @{self.op.sym_name.data} uses "
                f"%{missing[0].name_hint or 'a value'} from outside",
                where=describe(op),
            )
        return op.clone(values)

    def _read(self, op: te.ReadOp, values: dict[SSAValue, SSAValue]) -> loop.ReadOp:
        """The read; the scan's step as an index becomes affine in its loop's variable."""
        opaque = [s for s in op.symbols if not self._is_step(s)]
        symbols: list[AffineExpr] = []
        for value in op.symbols:
            if self.step is not None and self._is_step(value):
                symbols.append(self.step.expression(sym(len(opaque))))
            else:
                symbols.append(sym(opaque.index(value)))
        map_ = op.map.data
        dims = [dim(i) for i in range(map_.num_dims)]
        map_ = map_.replace_dims_and_symbols(dims, symbols, map_.num_dims, len(opaque))
        view = self.views[op.source]
        mapped = self._map(map_, len(opaque), view)
        return make_read(view.buffer, mapped, [values[value] for value in opaque], op.fill)

    def _is_step(self, value: SSAValue) -> bool:
        return (
            self.step is not None
            and value is self.step.argument
            and isinstance(value.type, IndexType)
        )
