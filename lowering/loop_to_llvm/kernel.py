"""A kernel in tile form to LLVM IR: one function for each phase.

    void @<kernel>.<phase>(ptr arguments..., ptr temporaries..., ptr scratch, i64 low, i64 high)

A phase runs the iterations [low, high) of its outermost parallel loop (0 and 1 where it has none).
Between two phases all threads wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Operation, SSAValue

from ...core.errors import PassError
from ...core.locations import describe
from ...dialects.loop import AllocOp, BufferType, ForOp, KernelOp, buffer_type
from ...targets import Target
from .body import BodyWriter
from .debug import LineTable
from .text import FunctionWriter, element_bytes

ALIGNMENT = 64


@dataclass(frozen=True)
class Phase:
    """One function of a kernel.

    Attributes:
        extent: iterations that threads may share; 1 for a phase that one thread runs.
    """

    symbol: str
    extent: int


@dataclass(frozen=True)
class EmittedKernel:
    """LLVM IR of a kernel, and what its caller must provide.

    Attributes:
        llvm_text: a module of its own.
        args: buffer types of the arguments, inputs first.
        temporaries: bytes of each buffer that lives from phase to phase.
        scratch_bytes: memory for each thread.
    """

    name: str
    llvm_text: str
    phases: list[Phase]
    args: list[BufferType]
    temporaries: list[int]
    scratch_bytes: int


def buffer_bytes(type_: BufferType) -> int:
    """Memory of a buffer, rounded up to the alignment."""
    size = type_.num_elements * element_bytes(type_.element_type)
    return -(-size // ALIGNMENT) * ALIGNMENT


def is_temporary(op: Operation) -> bool:
    """Whether an op is a buffer of a whole kernel, which lives from phase to phase."""
    return isinstance(op, AllocOp) and buffer_type(op.res).space.data == "global"


def split_phases(kernel: KernelOp) -> list[list[Operation]]:
    """Top-level ops by phase: every parallel loop is one, what stands between them another."""
    phases: list[list[Operation]] = [[]]
    for op in kernel.body.block.ops:
        if isinstance(op, ForOp) and op.kind.data == "parallel":
            phases.append([op])
            phases.append([])
        else:
            phases[-1].append(op)
    return [phase for phase in phases if any(has_effect(op) for op in phase)]


def has_effect(op: Operation) -> bool:
    """Whether an op, or one inside it, writes memory."""
    return any(inner.name == "loop.store" for inner in op.walk())


def emit_kernel(kernel: KernelOp, target: Target, debug: LineTable | None = None) -> EmittedKernel:
    """LLVM IR of one kernel in tile form; with `debug`, its ops' lines are in the code too.

    Raises: PassError: an op without LLVM form, nest form instead of tile form.
    """
    for op in kernel.body.walk():
        if op.name == "loop.stmt":
            raise PassError(
                "the kernel is in nest form", where=describe(op), hint="run form-tiles first"
            )
    name = kernel.sym_name.data
    allocs = [op for op in kernel.body.walk() if isinstance(op, AllocOp)]
    temporaries = [op for op in kernel.body.block.ops if is_temporary(op)]
    offsets, scratch = _scratch_layout(allocs, temporaries)
    phases: list[Phase] = []
    functions: list[str] = []
    declarations: dict[str, str] = {}
    for number, ops in enumerate(split_phases(kernel)):
        symbol = f"{name}.{number}"
        writer = FunctionWriter(is_avx512=target.has_masks, debug=debug)
        mark = debug.begin(symbol, kernel) if debug is not None else ""
        extent = _emit_phase(kernel, ops, writer, target, temporaries, offsets)
        lines = "\n".join(writer.scopes[0].text())
        head = f"{_signature(kernel, symbol, len(temporaries))} #0{mark}"
        functions.append(f"{head} {{\n{lines}\n}}\n")
        declarations.update(writer.declarations)
        phases.append(Phase(symbol, extent))
    metadata = [debug.text()] if debug is not None else []
    texts = [*functions, *sorted(declarations.values()), _attributes(target), *metadata]
    return EmittedKernel(
        name,
        "\n".join(texts),
        phases,
        [buffer_type(arg) for arg in kernel.body.block.args],
        [buffer_bytes(buffer_type(op.results[0])) for op in temporaries],
        scratch,
    )


def _attributes(target: Target) -> str:
    """The attributes of every function."""
    text = f'attributes #0 = {{ nounwind "target-cpu"="{target.cpu}" '
    text += f'"target-features"="{target.features}" '
    return f'{text}"prefer-vector-width"="{target.vector_bits}" }}\n'


def _signature(kernel: KernelOp, symbol: str, num_temporaries: int) -> str:
    shared = {number for pair in kernel.inout_pairs for number in pair}  # with each other
    args = [
        f"ptr %arg{i}" if i in shared else f"ptr noalias %arg{i}"
        for i in range(len(kernel.body.block.args))
    ]
    args += [f"ptr noalias %tmp{i}" for i in range(num_temporaries)]
    args += ["ptr noalias %scratch", "i64 %low", "i64 %high"]
    return f'define void @"{symbol}"({", ".join(args)})'


def _scratch_layout(
    allocs: Sequence[AllocOp], temporaries: Sequence[Operation]
) -> tuple[dict[SSAValue, int], int]:
    """Byte offsets of the buffers in a thread's scratch, and its size."""
    offsets: dict[SSAValue, int] = {}
    total = 0
    for op in allocs:
        if op not in temporaries:
            offsets[op.res] = total
            total += buffer_bytes(buffer_type(op.res))
    return offsets, total


def _emit_phase(
    kernel: KernelOp,
    ops: Sequence[Operation],
    writer: FunctionWriter,
    target: Target,
    temporaries: Sequence[Operation],
    offsets: dict[SSAValue, int],
) -> int:
    """Write one phase; how many iterations it has to share."""
    buffers: dict[SSAValue, str] = {}
    buffers |= {arg: f"%arg{i}" for i, arg in enumerate(kernel.body.block.args)}
    buffers |= {op.results[0]: f"%tmp{i}" for i, op in enumerate(temporaries)}
    for value, offset in offsets.items():
        text = f"getelementptr inbounds i8, ptr %scratch, i64 {offset}"
        buffers[value] = writer.define_at(writer.scope, text)
    body = BodyWriter(writer, target, buffers)
    extent = 1
    for op in ops:
        if isinstance(op, ForOp) and op.kind.data == "parallel":
            interval = op.constant_range
            if interval is None:
                raise PassError("a parallel loop has no constant bounds", where=describe(op))
            low, high = interval
            extent = high - low
            body.prepare(op)
            first = writer.define(f"add i64 %low, {low}")
            last = writer.define(f"add i64 %high, {low}")
            body.loop(op, (first, last))
        else:
            body.visit(op)
    writer.line("ret void")
    return extent
