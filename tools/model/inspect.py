"""`nnc inspect`: operators, shapes, parameters, kernels, host steps, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from xdsl.dialects.builtin import ModuleOp, SymbolRefAttr

from ...compiler.model import Model, compile
from ...compiler.program import Compiled
from ...compiler.signature import Signature
from ...core.errors import InputError
from ...core.walk import walk
from ...dialects.graph.base import ConstantOp, GraphOp
from ...dialects.te import CallOp
from ...runtime.memory import MemoryUse
from ...runtime.program import HostStep
from ...schedules.primitives.lookup import suggestion
from ...textir import print_module
from .flags import Flags


def run(flags: Flags) -> None:
    """Print tables about the model."""
    model = compile(
        flags.model,
        flags.target,
        flags.threads,
        flags.numerics,
        shape=dict(flags.shapes),
        cache=False,  # it holds programs, not kernels
    )
    console = Console(markup=False)
    if flags.schedule is not None:
        _schedule(model, flags.schedule)
        return
    console.print(_signatures("inputs", model.inputs), _signatures("outputs", model.outputs))
    console.print(_operators(model.module))
    console.print(_parameters(model.module))
    compiled = model.compiled
    if compiled is None:
        names = " ".join(f"--shape {s.name}=..." for s in model.inputs if not s.is_static)
        console.print(f"kernels depend on the shapes: {names}")
        return
    console.print(_kernels(compiled))
    if flags.all_schedules:
        for name in compiled.kernels.schedules:
            console.print(_schedule_text(compiled, name, name), highlight=False)
    _host_steps(console, compiled)
    console.print(_memory(compiled, model))


def _signatures(title: str, signatures: Sequence[Signature]) -> Table:
    table = Table("name", "type", title=title)
    for signature in signatures:
        table.add_row(signature.name, str(signature))
    return table


def _operators(module: ModuleOp) -> Table:
    found = Counter(op.name for op in walk(module) if isinstance(op, GraphOp))
    table = Table("operator", "count", title=f"{found.total()} operators")
    for name, count in found.most_common():
        table.add_row(name.removeprefix("graph."), str(count))
    return table


def _parameters(module: ModuleOp) -> str:
    constants = {op.value: op for op in walk(module) if isinstance(op, ConstantOp)}
    arrays = [op.array for op in constants.values() if op.is_loaded]
    elements = sum(array.size for array in arrays)
    size = sum(array.nbytes for array in arrays)
    return f"parameters: {elements:,} elements in {len(arrays)} constants, {_bytes(size)}"


def _kernels(compiled: Compiled) -> Table:
    calls = Counter(
        op.callee.root_reference.data for op in compiled.module.walk() if isinstance(op, CallOp)
    )
    distinct = len(compiled.kernels.emitted)
    table = Table(
        "kernel",
        "operators",
        "shape",
        "parallel",
        title=f"{len(compiled.kernels.code)} kernels, {distinct} distinct, {calls.total()} calls",
    )
    for name, code in compiled.kernels.code.items():
        operators = Counter(compiled.operators.get(name, ()))
        shapes = ["x".join(map(str, arg.extents)) for arg in code.args[-code.num_outputs :]]
        extents = ["1 thread"] if code.alone else [str(extent) for _, extent in code.phases]
        table.add_row(
            name,
            ", ".join(f"{n} {op}" if n > 1 else op for op, n in operators.items() if op != "yield"),
            ", ".join(shapes),
            " | ".join(extents),
        )
    return table


def _schedule(model: Model, name: str) -> None:
    """Print what one kernel uses, as `nnc compile --schedules` reads it."""
    if model.compiled is None:
        names = " ".join(f"--shape {s.name}=..." for s in model.inputs if not s.is_static)
        raise InputError("kernels depend on the shapes", hint=names)
    kernels = model.compiled.kernels
    if name not in kernels.code:
        raise InputError(f"no kernel '{name}'", hint=suggestion(name, kernels.code))
    symbol = kernels.symbols[name]
    if symbol not in kernels.schedules:
        raise InputError(f"kernel '{name}' is written as loops, it has no schedule")
    print(_schedule_text(model.compiled, symbol, name), end="")


def _schedule_text(compiled: Compiled, symbol: str, name: str) -> str:
    schedule = compiled.kernels.schedules[symbol].clone()
    schedule.kernel = SymbolRefAttr(name)
    return print_module(ModuleOp([schedule]))


def _host_steps(console: Console, compiled: Compiled) -> None:
    steps = [s for s in compiled.executable.program.steps if isinstance(s, HostStep)]
    if not steps:
        console.print("nothing runs on the host")
        return
    table = Table("operator", "node", title=f"{len(steps)} host steps (Python, not compiled)")
    for step in steps:
        table.add_row(step.operator, step.where)
    console.print(table)


def _memory(compiled: Compiled, model: Model) -> Table:
    executable = compiled.executable
    title = f"{model.options.target.name}, {executable.threads} threads"
    table = Table("memory", "bytes", title=title)
    table.columns[1].justify = "right"
    use = MemoryUse.of(executable)
    table.add_row("intermediates (one arena)", _bytes(use.intermediates))
    table.add_row("scratch", _bytes(use.scratch))
    table.add_row("constants (shared)", _bytes(use.constants))
    table.add_row("staged inputs and outputs", _bytes(use.staged))
    table.add_row("outputs", _bytes(use.outputs))
    table.add_row("peak of one call", _bytes(use.peak), style="bold")
    return table


def _bytes(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
