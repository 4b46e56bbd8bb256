"""One te.kernel to one loop.kernel: buffers, canonical nests, scans."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineMap

from ...core.affine import dim
from ...core.errors import PassError
from ...core.names import fresh
from ...dialects import loop, te
from ...dialects.buffers import buffer_of
from ...dialects.loop.build import copy_stmt, loop_nest, plain_axes
from ...schedules.primitives.rewrite import normalize
from .statement import convert_compute
from .views import Step, View


class KernelConverter:
    """Converts one kernel. `views` says where each tensor that is already computed lives."""

    def __init__(self, kernel: te.KernelOp):
        self.source = kernel
        self.returned = list(_terminator(kernel).operands)
        arg_names = [name.data for name in kernel.arg_names]
        self.names = set(arg_names)
        output_names = [_take(self._result_name(v), self.names) for v in self.returned]
        types = [buffer_of(type_) for type_ in kernel.body.block.arg_types]
        types += [buffer_of(value.type) for value in self.returned]
        self.kernel = loop.KernelOp(
            kernel.sym_name.data,
            types,
            arg_names + output_names,
            len(self.returned),
            sorted(kernel.const_positions),
        )
        self.kernel.location = kernel.location
        args = self.kernel.body.block.args
        self.outputs = list(args[len(arg_names) :])
        self.labels: dict[SSAValue, str] = dict(zip(self.outputs, output_names, strict=True))
        inputs = kernel.body.block.args
        self.views: dict[SSAValue, View] = {
            tensor: View(buffer) for tensor, buffer in zip(inputs, args, strict=False)
        }
        self.symbols = {
            op.sym_name.data for op in kernel.walk() if isinstance(op, te.ComputeOp | te.ScanOp)
        }
        self.allocs: list[Operation] = []
        self.nests: list[Operation] = []

    def convert(self) -> loop.KernelOp:
        """The loop.kernel, not yet inserted anywhere."""
        for op in self.source.body.block.ops:
            if isinstance(op, te.ComputeOp):
                buffers = self._place(op.results)
                outs = [View(buffer) for buffer in buffers]
                self._add(self.nests, convert_compute(op, outs, self.views, None), op)
            elif isinstance(op, te.ScanOp):
                self._convert_scan(op)
            elif not isinstance(op, te.ReturnOp):
                raise PassError(
                    f"{op.name} stands between the computes of a kernel",
                    where=f"@{self.source.sym_name.data}",
                )
        self._copy_returned()
        self.kernel.body.block.add_ops([*self.allocs, *self.nests])
        normalize(self.kernel)
        return self.kernel

    def _place(self, results: Sequence[SSAValue]) -> list[SSAValue]:
        """A buffer for each result: the output it is returned as, or one of its own."""
        buffers: list[SSAValue] = []
        for result in results:
            position = next((i for i, v in enumerate(self.returned) if v is result), None)
            buffer = self._alloc(result) if position is None else self.outputs[position]
            self.views[result] = View(buffer)
            buffers.append(buffer)
        return buffers

    def _alloc(self, tensor: SSAValue, hint: str | None = None) -> SSAValue:
        alloc = loop.AllocOp(buffer_of(tensor.type))
        alloc.res.name_hint = self.labels[alloc.res] = hint or self._result_name(tensor)
        owner = tensor.owner
        alloc.location = (owner if isinstance(owner, Operation) else self.source).location
        self.allocs.append(alloc)
        return alloc.res

    def _copy_returned(self) -> None:
        """Copies for outputs that nothing has written: a returned argument, a second return."""
        written: set[SSAValue] = set()
        for value, output in zip(self.returned, self.outputs, strict=True):
            view = self.views[value]
            if view.buffer is output and output not in written:
                written.add(output)
                continue
            self._add(self.nests, self._copy(output, view, "copy", None), self.source)

    def _copy(self, dest: SSAValue, source: View, what: str, step: Step | None) -> list[Operation]:
        """A nest `dest = source`, where a scan's kept results are meant at the present step."""
        extents = loop.buffer_type(source.buffer).extents[int(source.sliced) :]
        return self._copy_views(View(dest), source, extents, what, step)

    def _copy_views(
        self, dest: View, source: View, extents: Sequence[int], what: str, step: Step | None
    ) -> list[Operation]:
        symbol = _take(f"{self.labels[dest.buffer]}.{what}", self.symbols)
        axes = plain_axes(extents)
        outer = [] if step is None else [step.loop_variable]
        num_ivs = len(outer) + len(axes)
        plain = AffineMap(len(axes), num_ivs, tuple(dim(i) for i in range(len(axes))))
        bind = AffineMap(num_ivs, 0, tuple(dim(len(outer) + i) for i in range(len(axes))))

        def leaf(ivs: list[SSAValue]) -> list[Operation]:
            reads = (source.buffer, source.access(plain, step, 0))
            writes = (dest.buffer, dest.access(plain, step, 0))
            return [copy_stmt(symbol, axes, bind, [*outer, *ivs], reads, writes)]

        return loop_nest([(f"{symbol}.{axis.label}", axis.size) for axis in axes], leaf)

    def _convert_scan(self, op: te.ScanOp) -> None:
        symbol = op.sym_name.data
        label = op.axis.label
        scan = loop.ForOp(f"{symbol}.{label}", 0, op.axis.size)
        scan.variable.name_hint = label
        argument, *states = op.body.block.args
        step = Step(label, op.axis.size, op.reverse is not None, scan.variable, argument)
        kept = [View(buffer, sliced=True) for buffer in self._place(op.results)]
        used: list[tuple[SSAValue, View]] = []
        for position, (state, init) in enumerate(zip(states, op.inits, strict=True)):
            if state.first_use is None:
                continue
            buffer = self._alloc(state, f"{symbol}.state{position}")
            self.views[state] = View(buffer)
            used.append((buffer, kept[position]))
            self._add(self.nests, self._copy(buffer, self.views[init], "init", None), op)
        inside: list[Operation] = []
        self._convert_body(op, kept, step, inside)
        for buffer, result in used:
            self._add(inside, self._copy(buffer, result, "next", step), op)
        scan.body.block.add_ops(inside)
        self._add(self.nests, [scan], op)

    def _convert_body(
        self, op: te.ScanOp, kept: Sequence[View], step: Step, inside: list[Operation]
    ) -> None:
        """The computes of one step; a yielded one writes the kept result of that step."""
        *computes, last = op.body.block.ops
        direct: dict[SSAValue, View] = {}
        for value, view in zip(last.operands, kept, strict=True):
            if isinstance(value.owner, te.ComputeOp) and value.owner.parent is op.body.block:
                direct.setdefault(value, view)
        for compute in computes:
            if not isinstance(compute, te.ComputeOp):
                raise PassError(f"{compute.name} stands in a scan", where=f"@{op.sym_name.data}")
            outs: list[View] = []
            for result in compute.results:
                view = direct.get(result) or View(self._alloc(result))
                self.views[result] = view
                outs.append(view)
            self._add(inside, convert_compute(compute, outs, self.views, step), compute)
        for value, view in zip(last.operands, kept, strict=True):
            source = self.views[value]
            if source != view:
                extents = loop.buffer_type(view.buffer).extents[1:]
                copied = self._copy_views(view, source, extents, "keep", step)
                self._add(inside, copied, op)

    def _add(self, block: list[Operation], ops: Sequence[Operation], origin: Operation) -> None:
        for op in ops:
            for inner in op.walk():
                if str(inner.location) == "loc(unknown)":
                    inner.location = origin.location
            block.append(op)

    def _result_name(self, value: SSAValue) -> str:
        owner = value.owner
        if isinstance(owner, te.ComputeOp | te.ScanOp):
            position = owner.results.index(value)
            suffix = f"_r{position}" if len(owner.results) > 1 else ""
            return f"{owner.sym_name.data}{suffix}"
        return value.name_hint or "out"


def _take(name: str, taken: set[str]) -> str:
    """`name`, or with a number where it is taken already; it is taken then."""
    name = fresh(name, taken)
    taken.add(name)
    return name


def _terminator(kernel: te.KernelOp) -> Operation:
    last = kernel.body.block.last_op
    assert last is not None
    return last
