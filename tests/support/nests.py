"""An interpreter of nests that shares no code with the reference of the loop level.

It goes point by point, with memory that knows which of its places have been written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.ir import Attribute, Block, Operation, SSAValue

from nnc.core.dtypes import numpy_dtype
from nnc.dialects import loop
from nnc.dialects.combiners import neutral_elements
from nnc.reference.body import Scope, affine, run_body
from nnc.reference.scalar import NAMED_COMBINERS, attribute_value, dense_value

Array = np.ndarray[Any, Any]


class Memory:
    """A buffer and which of its places have been written."""

    def __init__(self, type_: loop.BufferType, content: Array | None = None):
        shape = type_.extents
        self.data = np.zeros(shape, numpy_dtype(type_.element_type))
        self.written = np.zeros(shape, bool)
        if content is not None:
            self.data[...] = content
            self.written[...] = True

    def read(self, place: tuple[int, ...], fill: Attribute | None) -> Any:
        inside = all(0 <= i < n for i, n in zip(place, self.data.shape, strict=True))
        if not inside:
            assert fill is not None, f"read at {place} of {self.data.shape}"
            return attribute_value(fill)
        assert self.written[place], f"read at {place} before it was written"
        return self.data[place]

    def write(self, place: tuple[int, ...], value: Any) -> None:
        assert all(0 <= i < n for i, n in zip(place, self.data.shape, strict=True)), place
        self.data[place] = value
        self.written[place] = True


class Nests:
    """Runs a loop.kernel in nest form, one point after the other."""

    def __init__(self, kernel: loop.KernelOp):
        self.kernel = kernel
        self.memory: dict[SSAValue, Memory] = {}
        self.ivs: dict[SSAValue, int] = {}
        self.updates: dict[str, int] = {}

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        args = self.kernel.body.block.args
        for position, argument in enumerate(args):
            content = inputs[position] if position < len(inputs) else None
            self.memory[argument] = Memory(loop.buffer_type(argument), content)
        self._block(self.kernel.body.block)
        outputs = [self.memory[argument] for argument in args[len(inputs) :]]
        assert all(memory.written.all() for memory in outputs), "an output has holes"
        return [memory.data for memory in outputs]

    def _block(self, block: Block) -> None:
        for op in block.ops:
            if isinstance(op, loop.AllocOp):
                self.memory[op.res] = Memory(loop.buffer_type(op.res))
            elif isinstance(op, loop.ForOp):
                low = max(op.lower.data.eval([self.ivs[a] for a in op.lower_args], []))
                high = min(op.upper.data.eval([self.ivs[a] for a in op.upper_args], []))
                for value in range(low, high):
                    self.ivs[op.variable] = value
                    self._block(op.body.block)
            elif not isinstance(op, loop.PrefetchOp):
                assert isinstance(op, loop.StmtOp), op.name
                self._stmt(op)

    def _stmt(self, stmt: loop.StmtOp) -> None:
        ivs = [self.ivs[iv] for iv in stmt.ivs]
        point = stmt.bind.data.eval(ivs, [])
        if not all(0 <= at < axis.size for at, axis in zip(point, stmt.axes, strict=True)):
            return
        values = self._evaluate(stmt, point, ivs)
        places = [map_.data.eval(point, ivs) for map_ in stmt.out_maps]
        memories = [self.memory[out] for out in stmt.outs]
        if stmt.is_reduction:
            first = all(
                at == 0 for at, axis in zip(point, stmt.axes, strict=True) if axis.is_reduce
            )
            if first:
                types = [loop.buffer_type(out).element_type for out in stmt.outs]
                before = [attribute_value(a) for a in neutral_elements(stmt, types)]
            else:
                before = [m.read(p, None) for m, p in zip(memories, places, strict=True)]
            values = self._combine(stmt, before, values)
        for memory, place, value in zip(memories, places, values, strict=True):
            memory.write(place, value)
        name = stmt.sym_name.data
        self.updates[name] = self.updates.get(name, 0) + 1

    def _combine(self, stmt: loop.StmtOp, before: list[Any], values: list[Any]) -> list[Any]:
        if stmt.combine is None:
            assert stmt.combiner is not None
            with np.errstate(all="ignore"):
                return [
                    NAMED_COMBINERS[name.data](old, new)
                    for name, old, new in zip(stmt.combiner, before, values, strict=True)
                ]
        scope = Scope()
        block = stmt.combine.block
        for argument, value in zip(block.args, [*before, *values], strict=True):
            scope.values[argument] = np.asarray(value)
        return [scope.values[value] for value in run_body(block, scope, {})]

    def _evaluate(self, stmt: loop.StmtOp, point: Sequence[int], ivs: Sequence[int]) -> list[Any]:
        scope = Scope()
        dims = [np.asarray(at) for at in point]
        outer = [np.asarray(iv) for iv in ivs]

        def read(op: Operation, scope: Scope) -> None:
            assert isinstance(op, loop.ReadOp)
            symbols = [*(scope.values[s] for s in op.symbols), *outer]
            place = tuple(int(affine(e, dims, symbols)) for e in op.map.data.results)
            scope.values[op.res] = np.asarray(self.memory[op.source].read(place, op.fill))

        def index(op: Operation, scope: Scope) -> None:
            assert isinstance(op, loop.IndexOp)
            labels = [axis.label for axis in stmt.axes]
            scope.values[op.res] = dims[labels.index(op.axis.data)]

        def coeff(op: Operation, scope: Scope) -> None:
            assert isinstance(op, loop.CoeffOp)
            place = tuple(int(affine(e, dims, outer)) for e in op.map.data.results)
            value = np.asarray(dense_value(op.values)[place])
            scope.values[op.res] = value
            scope.absent[op.res] = value == 0

        handlers = {"loop.read": read, "loop.index": index, "loop.coeff": coeff}
        return [scope.values[v] for v in run_body(stmt.body.block, scope, handlers)]
