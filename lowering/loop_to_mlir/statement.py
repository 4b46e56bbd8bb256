"""A loop.stmt at one point of the loops around it: loads, scalar arithmetic, stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import memref, scf
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap

from ...core.affine import Ranges, dim, simplify, substitute, sym
from ...dialects import loop
from ...dialects.combiners import combine_op, neutral_elements
from ...dialects.index_space import axis_ranges
from ...dialects.loop import buffer_type
from ..upstream.emit import Emitter, Handler, Scope, emit_body
from .values import Values, is_inside


def write_statement(op: loop.StmtOp, emitter: Emitter, values: Values) -> None:
    """The statement, inside a condition where its axes may leave their extents."""
    ivs = values.indices(op.ivs)
    ranges = values.known(op.ivs)
    axes = [emitter.affine(simplify(e, ranges), ivs) for e in op.bind.data.results]
    tests: list[SSAValue] = []
    for axis, expr, value in zip(op.axes, op.bind.data.results, axes, strict=True):
        if not is_inside(expr, axis.size, ranges):
            test = emitter.inside_of([value], [axis.size])
            tests += [] if test is None else [test]
    if not tests:
        _Statement(op, axes, ivs, values).write(emitter)
        return
    condition = tests[0]
    for test in tests[1:]:
        condition = emitter.arith("andi", condition, test)
    inner = emitter.inside(Block())
    _Statement(op, axes, ivs, values).write(inner)
    inner.append(scf.YieldOp())
    emitter.append(scf.IfOp(condition, [], Region(inner.block)))


@dataclass
class _Statement:
    """One statement where its axes have the values `axes`."""

    op: loop.StmtOp
    axes: Sequence[SSAValue]
    ivs: Sequence[SSAValue]
    values: Values

    def write(self, emitter: Emitter) -> None:
        """Append it."""
        handlers: dict[str, Handler] = {
            "loop.read": self._read,
            "loop.index": self._index,
            "loop.coeff": self._coeff,
        }
        scope = Scope(dict(self.values.scalars))
        results = emit_body(self.op.body.block, emitter, scope, handlers)
        places = [
            self._physical(map_.data, loop.buffer_type(out), [], emitter)
            for out, map_ in zip(self.op.outs, self.op.out_maps, strict=True)
        ]
        buffers = [self.values.scalars[out] for out in self.op.outs]
        if self.op.is_reduction:
            results = self._combine(results, buffers, places, emitter)
        for value, buffer, place in zip(results, buffers, places, strict=True):
            emitter.append(memref.StoreOp.get(value, buffer, place))

    def _combine(
        self,
        results: Sequence[SSAValue],
        buffers: Sequence[SSAValue],
        places: Sequence[Sequence[SSAValue]],
        emitter: Emitter,
    ) -> list[SSAValue]:
        """The new accumulators; the first point of the reduction starts from the neutral one."""
        first = self._is_first(emitter)
        neutral = neutral_elements(self.op, [value.type for value in results])
        old: list[SSAValue] = []
        for buffer, place, start in zip(buffers, places, neutral, strict=True):
            loaded = emitter.add(memref.LoadOp.get(buffer, place))
            old.append(emitter.arith("select", first, emitter.constant(start), loaded))
        if self.op.combine is not None:
            block = self.op.combine.block
            scope = Scope(dict(zip(block.args, [*old, *results], strict=True)))
            return emit_body(block, emitter, scope, {})
        assert self.op.combiner is not None
        return [
            emitter.arith(combine_op(name.data, value.type).removeprefix("arith."), acc, value)
            for name, acc, value in zip(self.op.combiner, old, results, strict=True)
        ]

    def _is_first(self, emitter: Emitter) -> SSAValue:
        first: SSAValue | None = None
        for axis, value in zip(self.op.axes, self.axes, strict=True):
            if axis.is_reduce:
                test = emitter.compare("eq", value, emitter.index(0))
                first = test if first is None else emitter.arith("andi", first, test)
        assert first is not None, "a reduction has reduce axes"
        return first

    def _known(self, num_opaque: int) -> Ranges:
        """Ranges of a map's axes and symbols."""
        ivs = self.values.known(self.op.ivs).dims
        return Ranges(axis_ranges(self.op.axes.data), (*(None,) * num_opaque, *ivs))

    def _physical(
        self,
        map_: AffineMap,
        type_: loop.BufferType,
        symbols: Sequence[SSAValue],
        emitter: Emitter,
    ) -> list[SSAValue]:
        """Indices into the memref of a buffer."""
        results = [substitute(expr, map_.results) for expr in type_.layout_map.results]
        return [self._index_at(expr, symbols, emitter) for expr in results]

    def _index_at(
        self, expr: AffineExpr, symbols: Sequence[SSAValue], emitter: Emitter
    ) -> SSAValue:
        """An expression of axes, opaque symbols and loop variables, as one of the last two."""
        variables = [dim(at) for at in range(len(self.ivs))]
        opaque = [sym(at) for at in range(len(symbols))]
        expr = substitute(expr, self.op.bind.data.results, [*opaque, *variables])
        return emitter.affine(simplify(expr, self.values.known(self.op.ivs)), self.ivs, symbols)

    def _read(self, op: Operation, emitter: Emitter, scope: Scope) -> None:
        assert isinstance(op, loop.ReadOp)
        symbols = [scope.values[symbol] for symbol in op.symbols]
        type_ = buffer_type(op.source)
        source = self.values.scalars[op.source]
        known = self._known(len(symbols))
        exprs, sizes = op.map.data.results, type_.extents
        outside = [(e, n) for e, n in zip(exprs, sizes, strict=True) if not is_inside(e, n, known)]
        indices = [self._index_at(expr, symbols, emitter) for expr, _ in outside]
        ok = emitter.inside_of(indices, [size for _, size in outside])
        if op.fill is None or ok is None:
            place = self._physical(op.map.data, type_, symbols, emitter)
            scope.values[op.res] = emitter.add(memref.LoadOp.get(source, place))
            return
        then, otherwise = emitter.inside(Block()), emitter.inside(Block())
        place = self._physical(op.map.data, type_, symbols, then)
        then.append(scf.YieldOp(then.add(memref.LoadOp.get(source, place))))
        otherwise.append(scf.YieldOp(otherwise.constant(op.fill)))
        regions = (Region(then.block), Region(otherwise.block))
        scope.values[op.res] = emitter.add(scf.IfOp(ok, [type_.element_type], *regions))

    def _index(self, op: Operation, emitter: Emitter, scope: Scope) -> None:
        assert isinstance(op, loop.IndexOp)
        labels = [axis.label for axis in self.op.axes]
        scope.values[op.res] = self.axes[labels.index(op.axis.data)]

    def _coeff(self, op: Operation, emitter: Emitter, scope: Scope) -> None:
        """An entry of a literal matrix, a constant of the module."""
        assert isinstance(op, loop.CoeffOp)
        indices = [self._index_at(expr, [], emitter) for expr in op.map.data.results]
        name, type_ = self.values.literal(op.values)
        matrix = emitter.add(memref.GetGlobalOp(name, type_))
        value = emitter.add(memref.LoadOp.get(matrix, indices))
        scope.values[op.res] = value
        scope.absent[op.res] = emitter.is_zero(value)
