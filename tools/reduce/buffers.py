"""Buffers of loop kernels: they become inputs, or the only output, and what served others goes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from ...core.irtypes import int_attr, ints, strings
from ...core.names import fresh
from ...core.walk import erase, walk
from ...dialects import loop
from ...passes.graph.dce import remove_dead
from .functions import Refused, called_symbols


def _kernels(module: ModuleOp) -> list[loop.KernelOp]:
    """Those whose arguments nobody else counts."""
    called = called_symbols(module)
    kernels = [op for op in module.ops if isinstance(op, loop.KernelOp)]
    return [kernel for kernel in kernels if kernel.sym_name.data not in called]


def _allocs(module: ModuleOp) -> list[tuple[loop.KernelOp, loop.AllocOp]]:
    return [
        (kernel, op)
        for kernel in _kernels(module)
        for op in walk(kernel)
        if isinstance(op, loop.AllocOp)
    ]


class CutBuffers:
    """A temporary becomes an input of its kernel; what wrote it goes."""

    name = "buffers"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        return range(len(_allocs(module)))

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        chosen = [pair for at, pair in enumerate(_allocs(module)) if at in sites]
        for kernel, alloc in chosen:
            for writer in _writers(alloc.res):
                erase(writer)
            _make_argument(kernel, alloc, _num_inputs(kernel))
        for kernel in _kernels(module):
            tidy_kernel(kernel, module)


class EndAtBuffer:
    """A temporary becomes the only output of its kernel."""

    name = "last buffers"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        return range(len(_allocs(module)))

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        if len(sites) != 1:
            raise Refused
        kernel, alloc = next(pair for at, pair in enumerate(_allocs(module)) if at in sites)
        outputs = kernel.body.block.args[_num_inputs(kernel) :]
        for output in outputs:
            for user in {use.operation for use in output.uses}:
                erase(user)
        _make_argument(kernel, alloc, len(kernel.body.block.args))
        kernel.num_outputs = int_attr(1)
        for output in outputs:
            _drop_argument(kernel, output)
        tidy_kernel(kernel, module)


def _num_inputs(kernel: loop.KernelOp) -> int:
    return len(kernel.body.block.args) - kernel.num_outputs.value.data


def _writers(buffer: SSAValue) -> list[Operation]:
    """What writes a buffer, and no other.

    Raises: Refused: something writes others, too.
    """
    found = {use.operation: None for use in buffer.uses if _is_written(use.operation, buffer)}
    if any(isinstance(op, loop.StmtOp) and len(op.outs) > 1 for op in found):
        raise Refused
    return list(found)


def _is_written(op: Operation, buffer: SSAValue) -> bool:
    if isinstance(op, loop.StmtOp):
        return buffer in op.outs
    return isinstance(op, loop.StoreOp) and op.dest is buffer


def _make_argument(kernel: loop.KernelOp, alloc: loop.AllocOp, position: int) -> None:
    """A new argument stands for a temporary; its type has no space but the common one."""
    block = kernel.body.block
    type_ = loop.buffer_type(alloc.res)
    layout = None if type_.layout.name == "none" else type_.layout_map
    made = loop.BufferType.get(type_.extents, type_.element_type, "global", layout)
    argument = block.insert_arg(made, position)
    names = [each.data for each in kernel.arg_names]
    name = fresh(alloc.res.name_hint or "buffer", names)
    argument.name_hint = name
    kernel.arg_names = strings([*names[:position], name, *names[position:]])
    alloc.res.replace_all_uses_with(argument)
    erase(alloc)
    kernel.inout = None


def _drop_argument(kernel: loop.KernelOp, argument: BlockArgument) -> None:
    block, at = kernel.body.block, argument.index
    constants = [n - (n > at) for n in sorted(kernel.const_positions) if n != at]
    names = [each.data for each in kernel.arg_names]
    kernel.arg_names = strings([*names[:at], *names[at + 1 :]])
    kernel.const_args = ints(constants) if constants else None
    kernel.inout = None
    block.erase_arg(block.args[at])


def tidy_kernel(kernel: loop.KernelOp, module: ModuleOp) -> None:
    """Drop statements whose results nobody reads, loops in which nothing is left, and arguments."""
    while True:
        remove_dead(module)
        dead = [op for op in walk(kernel) if _is_dead(op)]
        if not dead:
            break
        erase(dead[-1])
    for argument in list(kernel.body.block.args)[: _num_inputs(kernel)]:
        if argument.first_use is None:
            _drop_argument(kernel, argument)


def _is_dead(op: Operation) -> bool:
    if isinstance(op, loop.AllocOp):
        return op.res.first_use is None
    if isinstance(op, loop.ForOp):
        ops = list(op.body.block.ops)
        is_empty = all(isinstance(inner, loop.YieldOp) for inner in ops)
        return is_empty and all(result.first_use is None for result in op.results)
    outs = op.outs if isinstance(op, loop.StmtOp) else ()
    outs = [op.dest] if isinstance(op, loop.StoreOp) else outs
    return bool(outs) and all(
        isinstance(out.owner, loop.AllocOp)
        and all(_is_written(use.operation, out) for use in out.uses)
        for out in outs
    )
