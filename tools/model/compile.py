"""`nnc compile --emit LEVEL`: what a model is at one level."""

from __future__ import annotations

import sys
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from ...compiler.emit import emit
from ...compiler.options import Options
from ...compiler.schedules import replace_schedules
from ...compiler.source import load
from ...compiler.timing import Timings
from ...core.errors import InputError
from ...passes.graph.infer_shapes import specialize
from ..files import writing
from ..terminal import is_colored, waiting, write_ir
from .flags import Flags
from .timing import print_timing


def run(flags: Flags) -> None:
    """Compile down to the level and write it."""
    timings = Timings()
    with waiting(flags.color):
        with timings.stage("load"):
            module = load(flags.model)
        with timings.stage("infer-shapes"):
            specialize(module, dict(flags.shapes))
        if flags.schedules is not None:
            replace_schedules(module, flags.schedules)
        options = Options.of(flags.target, flags.threads, flags.numerics)
        made = emit(module, flags.emit, options, timings)
    print_timing(flags, timings)
    data = made.encode() if isinstance(made, str) else made
    if flags.output is not None:
        with writing(flags.output):
            Path(flags.output).write_bytes(data)
        save_weights(flags.emit, module, flags.output)
    elif isinstance(made, bytes) and sys.stdout.isatty():
        raise InputError("object code is not for a terminal", hint="-o FILE")
    elif isinstance(made, str) and is_colored(flags.color, sys.stdout):
        write_ir(made, flags.color, sys.stdout)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def save_weights(level: str, module: ModuleOp, path: str) -> None:
    """Write the weights that a text of ours names beside it."""
    if level in ("llvm", "asm", "obj"):
        return
    from ...textir.weights import collect, save

    if arrays := collect(module):
        save(arrays, path)
