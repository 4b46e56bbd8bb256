"""`nnc inspect`: operators, shapes, kernels, host steps, memory; as tables, a page, a picture."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import ModuleOp, SymbolRefAttr

from ...compiler.model import Model
from ...compiler.program import Compiled
from ...core.errors import InputError
from ...schedules.primitives.lookup import suggestion
from ...textir import print_module
from ..files import writing
from ..terminal import Waiting, console, waiting, write_ir
from . import summary
from .flags import Flags
from .profile import Report, measure, read_report
from .run import compile_model

if TYPE_CHECKING:
    from ...compiler.levels import KernelLevels


def run(flags: Flags) -> None:
    """Print tables about the model, or write what was asked for."""
    with waiting(flags.color) as line, _looking_on(flags) as levels:
        model = compile_model(flags, cache=False)  # it holds programs, not kernels
        if flags.html is not None or flags.svg is not None:
            _draw(model, flags, line, levels)
            return
    if flags.schedule is not None:
        text = _schedule(known(model), flags.schedule)
        write_ir(text, flags.color, sys.stdout)
    else:
        _print(model, flags)


def _looking_on(flags: Flags) -> AbstractContextManager[Mapping[str, KernelLevels]]:
    """The levels of kernels that are compiled inside, if a page is to show them."""
    if flags.html is None:
        return nullcontext({})
    from ..page.view import looking_on

    return looking_on()


def known(model: Model) -> Compiled:
    """What a model was compiled to.

    Raises: InputError: it is only known for given shapes.
    """
    if model.compiled is None:
        hint = f"a number for each `?`: {_open_shapes(model)}"
        raise InputError("kernels depend on the shapes", hint=hint)
    return model.compiled


def _open_shapes(model: Model) -> str:
    """The flags that would close them, `?` where a number must stand."""
    return " ".join(
        f"--shape {each.name}={_extents(each.shape)}" for each in model.inputs if not each.is_static
    )


def _extents(shape: tuple[int | str, ...] | None) -> str:
    if shape is None:
        return "..."
    return "x".join(str(extent) if isinstance(extent, int) else "?" for extent in shape)


def _print(model: Model, flags: Flags) -> None:
    to = console(flags.color, sys.stdout)
    to.print(
        summary.signature_grid("inputs", model.inputs).table(),
        summary.signature_grid("outputs", model.outputs).table(),
        summary.operator_grid(model.module).table(),
        summary.parameters_text(model.module),
    )
    compiled = model.compiled
    if compiled is None:
        to.print(f"kernels depend on the shapes: {_open_shapes(model)}")
        return
    to.print(summary.kernel_grid(compiled).table())
    if flags.print_schedules:
        for name in compiled.kernels.schedules:
            text = _schedule_text(compiled, name, name)
            write_ir(f"{text}\n", flags.color, sys.stdout)
    host = summary.host_grid(compiled)
    to.print(host.table() if host is not None else "nothing runs on the host")
    if (in_place := summary.in_place_text(compiled)) is not None:
        to.print(in_place)
    to.print(summary.memory_grid(compiled.executable, model.options.target.name).table())


def _draw(model: Model, flags: Flags, line: Waiting, levels: Mapping[str, KernelLevels]) -> None:
    """Write the page and the picture."""
    from ..page.page import page
    from ..page.view import look_inside, view

    compiled = known(model)
    if flags.profile == "":
        line.step("timing every step")
    seen = view(model, compiled, Path(flags.model).stem, _report(model, flags))
    if flags.svg is not None:
        _write(flags.svg, seen.picture(alone=True).text)
    if flags.html is not None:
        line.step("writing the page")
        look_inside(seen, model, compiled, levels)
        _write(flags.html, page(seen))


def _report(model: Model, flags: Flags) -> Report | None:
    """The profile that was asked for, measured or read."""
    if flags.profile is None:
        return None
    return read_report(flags.profile) if flags.profile else measure(model, seed=0, rounds=20)


def _write(path: str, text: str) -> None:
    with writing(path):
        Path(path).write_text(text, "utf-8")


def _schedule(compiled: Compiled, name: str) -> str:
    """What one kernel uses, as `--schedules` reads it."""
    kernels = compiled.kernels
    if name not in kernels.code:
        raise InputError(f"no kernel '{name}'", hint=suggestion(name, kernels.code))
    symbol = kernels.symbols[name]
    if symbol not in kernels.schedules:
        raise InputError(f"kernel '{name}' is written as loops, it has no schedule")
    return _schedule_text(compiled, symbol, name)


def _schedule_text(compiled: Compiled, symbol: str, name: str) -> str:
    schedule = compiled.kernels.schedules[symbol].clone()
    schedule.kernel = SymbolRefAttr(name)
    return print_module(ModuleOp([schedule]))
