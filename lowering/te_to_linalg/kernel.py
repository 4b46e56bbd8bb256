"""One te.kernel to one func.func on tensors; a scan is a loop that carries its states."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import func, scf, tensor
from xdsl.dialects.builtin import DYNAMIC_INDEX
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ...core.errors import PassError
from ...core.irtypes import tensor_shape
from ...core.locations import describe
from ...dialects import te
from ..upstream.emit import INDEX, Emitter
from ..upstream.module import exported, upstream_tensor
from .compute import convert_compute


class KernelConverter:
    """Converts one kernel. `values` says what stands for each tensor and for a scan's step."""

    def __init__(self, kernel: te.KernelOp):
        self.source = kernel
        block = kernel.body.block
        inputs: list[Attribute] = [upstream_tensor(a.type) for a in block.args]
        outputs: list[Attribute] = [upstream_tensor(t) for t in kernel.function_type.outputs]
        self.function = exported(kernel.sym_name.data, inputs, outputs, kernel)
        body = self.function.body.block
        for argument, new in zip(block.args, body.args, strict=True):
            new.name_hint = argument.name_hint
        self.values: dict[SSAValue, SSAValue] = dict(zip(block.args, body.args, strict=True))
        self.emitter = Emitter(body, kernel.location)

    def convert(self) -> func.FuncOp:
        """The function, not yet inserted anywhere."""
        for op in self.source.body.block.ops:
            self.emitter.location = op.location
            if isinstance(op, te.ScanOp):
                self._scan(op)
            elif isinstance(op, te.ReturnOp):
                self.emitter.append(func.ReturnOp(*(self.values[v] for v in op.values)))
            else:
                self._compute(op, self.emitter)
        return self.function

    def _compute(self, op: Operation, emitter: Emitter) -> None:
        if not isinstance(op, te.ComputeOp):
            raise PassError(f"{op.name} stands between the computes", where=describe(op))
        for result, value in zip(
            op.results, convert_compute(op, self.values, emitter), strict=True
        ):
            value.name_hint = result.name_hint
            self.values[result] = value

    def _scan(self, op: te.ScanOp) -> None:
        """`scf.for` over (states, kept results)."""
        emitter = self.emitter
        kept = [
            emitter.add(tensor.EmptyOp([], upstream_tensor(result.type))) for result in op.results
        ]
        inits = [*(self.values[init] for init in op.inits), *kept]
        body = Block(arg_types=[INDEX, *(init.type for init in inits)])
        bounds = (emitter.index(0), emitter.index(op.axis.size), emitter.index(1))
        inner = emitter.inside(body)
        step, *carried = body.args
        step.name_hint = op.axis.label
        if op.reverse is not None:
            step = inner.arith("subi", inner.index(op.axis.size - 1), step)
        states = carried[: len(op.inits)]
        self.values.update(zip(op.body.block.args, [step, *states], strict=True))
        yielded = self._step(op, inner, step, carried[len(op.inits) :])
        inner.append(scf.YieldOp(*yielded))
        loop = scf.ForOp(*bounds, inits, Region(body))
        emitter.append(loop)
        self.values.update(zip(op.results, loop.results[len(op.inits) :], strict=True))

    def _step(
        self, op: te.ScanOp, emitter: Emitter, step: SSAValue, kept: Sequence[SSAValue]
    ) -> list[SSAValue]:
        """The body of a scan; its new states, and the results with them at this step."""
        states: list[SSAValue] = []
        for inner in op.body.block.ops:
            if isinstance(inner, te.YieldOp):
                states = [self.values[value] for value in inner.values]
            else:
                self._compute(inner, emitter)
        results: list[SSAValue] = []
        for state, all_ in zip(states, kept, strict=True):
            shape = tensor_shape(state.type)
            insert = tensor.InsertSliceOp.get(
                state,
                all_,
                static_sizes=[1, *shape],
                static_offsets=[DYNAMIC_INDEX, *(0 for _ in shape)],
                offsets=[step],
            )
            results.append(emitter.add(insert))
        return [*states, *results]
