"""What a model is made of, as tables: for the terminal and for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from xdsl.dialects.builtin import ModuleOp

from ...compiler.program import Compiled
from ...compiler.signature import Signature
from ...core.walk import walk
from ...dialects.graph.base import ConstantOp, GraphOp
from ...dialects.graph.pieces import ConcatOp
from ...dialects.te import CallOp
from ...lowering.program import KernelCode
from ...passes.graph.places import is_in_place, tensor_bytes
from ...runtime.executable import Executable
from ...runtime.memory import MemoryUse
from ...runtime.program import HostStep


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        right: the columns whose text stands at the right.
        bold_last: whether the last row is a sum.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    right: tuple[int, ...] = ()
    bold_last: bool = False

    def table(self) -> Table:
        """For a terminal."""
        table = Table(*self.columns, title=self.title)
        for column in self.right:
            table.columns[column].justify = "right"
        for number, row in enumerate(self.rows):
            is_sum = self.bold_last and number == len(self.rows) - 1
            table.add_row(*row, style="bold" if is_sum else None)
        return table


def signature_grid(title: str, signatures: Sequence[Signature]) -> Grid:
    """Names and types of inputs or outputs."""
    rows = [(signature.name, str(signature)) for signature in signatures]
    return Grid(title, ("name", "type"), rows)


def operator_grid(module: ModuleOp) -> Grid:
    """How often each operator occurs in a graph."""
    found = Counter(op.name for op in walk(module) if isinstance(op, GraphOp))
    rows = [(name.removeprefix("graph."), str(count)) for name, count in found.most_common()]
    return Grid(f"{found.total()} operators", ("operator", "count"), rows)


def parameters_text(module: ModuleOp) -> str:
    """How many constants, and how large."""
    constants = {op.value: op for op in walk(module) if isinstance(op, ConstantOp)}
    arrays = [op.array for op in constants.values() if op.is_loaded]
    elements = sum(array.size for array in arrays)
    size = sum(array.nbytes for array in arrays)
    return f"parameters: {elements:,} elements in {len(arrays)} constants, {bytes_text(size)}"


def kernel_grid(compiled: Compiled) -> Grid:
    """Every kernel: operators, shapes, what threads share."""
    calls = Counter(
        op.callee.root_reference.data for op in compiled.module.walk() if isinstance(op, CallOp)
    )
    distinct = len(compiled.kernels.emitted)
    rows: list[tuple[str, ...]] = []
    for name, code in compiled.kernels.code.items():
        operators = Counter(compiled.operators.get(name, ()))
        shapes = ["x".join(map(str, arg.extents)) for arg in code.args[-code.num_outputs :]]
        listed = [f"{n} {op}" if n > 1 else op for op, n in operators.items() if op != "yield"]
        rows.append((name, ", ".join(listed), ", ".join(shapes), parallel_text(code)))
    title = f"{len(compiled.kernels.code)} kernels, {distinct} distinct, {calls.total()} calls"
    return Grid(title, ("kernel", "operators", "shape", "parallel"), rows)


def parallel_text(code: KernelCode) -> str:
    """The iterations that threads share, by phase: `112 | 4`."""
    return "1 thread" if code.alone else " | ".join(str(extent) for _, extent in code.phases)


def host_grid(compiled: Compiled) -> Grid | None:
    """What is not compiled, if there is anything."""
    steps = [s for s in compiled.executable.program.steps if isinstance(s, HostStep)]
    if not steps:
        return None
    rows = [(step.operator, step.where) for step in steps]
    return Grid(f"{len(steps)} host steps (Python, not compiled)", ("operator", "node"), rows)


def in_place_text(compiled: Compiled) -> str | None:
    """What concatenations, slices and splits would copy, were they not in place."""
    ops = [op for op in walk(compiled.module) if is_in_place(op)]
    values = [v for op in ops for v in (op.operands if isinstance(op, ConcatOp) else op.results)]
    size = bytes_text(sum(tensor_bytes(value) for value in values))
    return f"in place: {len(values)} pieces, {size} not copied" if ops else None


def memory_grid(executable: Executable, target: str) -> Grid:
    """Memory of one call."""
    use = MemoryUse.of(executable)
    sizes = {
        "intermediates (one arena)": use.intermediates,
        "scratch": use.scratch,
        "constants (shared)": use.constants,
        "staged inputs and outputs": use.staged,
        "outputs": use.outputs,
        "peak of one call": use.peak,
    }
    rows = [(name, bytes_text(size)) for name, size in sizes.items()]
    title = f"{target}, {executable.threads} threads"
    return Grid(title, ("memory", "bytes"), rows, (1,), bold_last=True)


def bytes_text(size: int) -> str:
    """`2.3 MiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
