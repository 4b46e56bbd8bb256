"""One te.compute to one linalg.generic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xdsl.dialects import arith, tensor
from xdsl.dialects.builtin import AffineMapAttr, TensorType
from xdsl.dialects.linalg import attrs, ops
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineMap

from ...core.affine import dim
from ...core.irtypes import tensor_element
from ...dialects import te
from ...dialects.combiners import combine_op, neutral_elements
from ..upstream.emit import Emitter, Handler, Scope, emit_body
from ..upstream.module import upstream_tensor
from .operand import extract, fit_operand

PARALLEL, REDUCTION = attrs.IteratorType.PARALLEL, attrs.IteratorType.REDUCTION


def convert_compute(
    op: te.ComputeOp, values: Mapping[SSAValue, SSAValue], emitter: Emitter
) -> list[SSAValue]:
    """The results of a compute as tensors.

    Args:
        op: verified.
        values: what stands for each tensor, and for the step of a scan around it.
        emitter: where the ops go.

    Raises: PassError: its body has an op that upstream MLIR does not know.
    """
    types = [upstream_tensor(result.type) for result in op.results]
    outs = [emitter.add(tensor.EmptyOp([], type_)) for type_ in types]
    if any(axis.size == 0 for axis in op.parallel_axes):
        return outs
    if op.reduce_axes:
        outs = [
            emitter.add(ops.FillOp([emitter.constant(value)], [out]))
            for value, out in zip(
                neutral_elements(op, [tensor_element(t) for t in types]), outs, strict=True
            )
        ]
    if any(axis.size == 0 for axis in op.reduce_axes):
        return outs
    return _Generic(op, values, emitter).build(outs)


@dataclass
class _Generic:
    """Makes one linalg.generic.

    Attributes:
        inputs: operands, and the map of each from the axes to its elements.
        arguments: the input whose element a read or literal is.
    """

    op: te.ComputeOp
    values: Mapping[SSAValue, SSAValue]
    emitter: Emitter
    inputs: list[tuple[SSAValue, AffineMap]] = field(
        default_factory=list[tuple[SSAValue, AffineMap]]
    )
    arguments: dict[Operation, int] = field(default_factory=dict[Operation, int])

    def build(self, outs: Sequence[SSAValue]) -> list[SSAValue]:
        """The results."""
        for inner in self.op.body.block.ops:
            if isinstance(inner, te.ReadOp):
                fitted = fit_operand(inner, self.values[inner.source], self.op, self.emitter)
                if fitted is not None:
                    self._input(inner, *fitted)
            elif isinstance(inner, te.CoeffOp):
                self._literal(inner)
        self._name_extents()
        rank = len(self.op.axes)
        parallel = [dim(at) for at, axis in enumerate(self.op.axes) if not axis.is_reduce]
        maps = [map_ for _, map_ in self.inputs]
        maps += [AffineMap(rank, 0, tuple(parallel)) for _ in outs]
        kinds = [
            attrs.IteratorTypeAttr(REDUCTION if a.is_reduce else PARALLEL) for a in self.op.axes
        ]
        generic = ops.GenericOp(
            [value for value, _ in self.inputs],
            outs,
            Region(self._body(outs)),
            [AffineMapAttr(map_) for map_ in maps],
            kinds,
            [out.type for out in outs],
        )
        self.emitter.append(generic)
        return list(generic.results)

    def _input(self, reader: Operation, value: SSAValue, map_: AffineMap) -> None:
        """Let `reader` be the element of `value` at `map_`; equal operands are one."""
        place = next((i for i, i_ in enumerate(self.inputs) if i_ == (value, map_)), None)
        if place is None:
            place = len(self.inputs)
            self.inputs.append((value, map_))
        self.arguments[reader] = place

    def _literal(self, op: te.CoeffOp) -> None:
        """The matrix as an operand; it may be read in part, which a plain index does not allow."""
        literal = self.emitter.add(arith.ConstantOp(op.values))
        read = te.ReadOp(literal, op.map.data)
        fitted = fit_operand(read, read.source, self.op, self.emitter)
        read.erase()
        assert fitted is not None, "a literal is read inside, at affine indices"
        self._input(op, *fitted)

    def _name_extents(self) -> None:
        """An operand of no elements gives the extents of axes that no operand has as such.

        linalg takes the extent of an axis from an operand that it indexes plainly; a window that
        pooling sums over has none.
        """
        plain = {
            expr.position
            for _, map_ in self.inputs
            for expr in map_.results
            if isinstance(expr, AffineDimExpr)
        }
        missing = [at for at, axis in enumerate(self.op.axes) if axis.is_reduce and at not in plain]
        if missing:
            extents = [self.op.axes.data[at].size for at in missing]
            type_ = TensorType(tensor_element(self.op.results[0].type), extents)
            shape = self.emitter.add(tensor.EmptyOp([], type_))
            map_ = AffineMap(len(self.op.axes), 0, tuple(dim(at) for at in missing))
            self.inputs.append((shape, map_))

    def _body(self, outs: Sequence[SSAValue]) -> Block:
        elements = [tensor_element(value.type) for value, _ in self.inputs]
        elements += [tensor_element(out.type) for out in outs]
        block = Block(arg_types=elements)
        emitter = Emitter(block, self.op.location)
        handlers: dict[str, Handler] = {
            "te.read": self._read,
            "te.index": self._index,
            "te.coeff": self._coeff,
        }
        scope = Scope(dict(self.values))
        yielded = emit_body(self.op.body.block, emitter, scope, handlers)
        accumulators = list(block.args[len(self.inputs) :])
        if self.op.reduce_axes:
            yielded = self._combine(accumulators, yielded, emitter)
        emitter.append(ops.YieldOp(*yielded))
        return block

    def _combine(
        self, accumulators: Sequence[SSAValue], values: Sequence[SSAValue], emitter: Emitter
    ) -> list[SSAValue]:
        if self.op.combine is not None:
            block = self.op.combine.block
            scope = Scope(dict(zip(block.args, [*accumulators, *values], strict=True)))
            return emit_body(block, emitter, scope, {})
        assert self.op.combiner is not None
        combined: list[SSAValue] = []
        for name, accumulator, value in zip(self.op.combiner, accumulators, values, strict=True):
            mnemonic = combine_op(name.data, value.type).removeprefix("arith.")
            combined.append(emitter.arith(mnemonic, accumulator, value))
        return combined

    def _read(self, op: Operation, emitter: Emitter, scope: Scope) -> None:
        assert isinstance(op, te.ReadOp)
        if op in self.arguments:
            scope.values[op.res] = emitter.block.args[self.arguments[op]]
            return
        symbols = [scope.values[symbol] for symbol in op.symbols]
        positions = [emitter.add(ops.IndexOp(position)) for position in range(len(self.op.axes))]
        indices = [emitter.affine(expr, positions, symbols) for expr in op.map.data.results]
        source = self.values[op.source]
        scope.values[op.res] = extract(source, indices, op.fill, emitter)

    def _index(self, op: Operation, emitter: Emitter, scope: Scope) -> None:
        assert isinstance(op, te.IndexOp)
        labels = [axis.label for axis in self.op.axes]
        scope.values[op.res] = emitter.add(ops.IndexOp(labels.index(op.axis.data)))

    def _coeff(self, op: Operation, emitter: Emitter, scope: Scope) -> None:
        assert isinstance(op, te.CoeffOp)
        value = emitter.block.args[self.arguments[op]]
        scope.values[op.res] = value
        scope.absent[op.res] = emitter.is_zero(value)
