"""Running nn-reduce: read the module, see that the test fails on it, reduce, write the best."""

from __future__ import annotations

import sys
from dataclasses import replace

from xdsl.dialects.builtin import ModuleOp

from ...core.errors import InputError
from ...core.extensions import scope
from ...frontends import checked, formats
from ...textir import parse, print_module
from ...textir.weights import load as load_weights
from ..opt.registry import load
from ..opt.sources import read_text
from .command import Command, write_module
from .flags import Flags
from .progress import shown
from .session import Session, num_operations

CONFIRMATIONS = 2
"""How often the test runs once more on the result."""


def run(flags: Flags) -> None:
    """Reduce the module that the flags name.

    Raises: NncError: it cannot be read or written, or the test does not fail on it.
    """
    with scope(flags.plugins):
        _run(flags)


def _run(flags: Flags) -> None:
    command = Command.of(flags)
    module = _read(flags)
    if not command.fails(module):
        raise InputError(
            "the test does not fail on the module as it is",
            where=flags.input,
            hint="it fails with an exit status other than 0, by --output-matches, or --times-out; "
            "a test that fails now and then is tried more often with --repeat",
        )
    session = Session(module, command.fails, flags.max_trials)
    before = num_operations(module)
    try:
        with shown(session):
            session.run()
        _confirm(command, session)
    except KeyboardInterrupt:
        print("interrupted: the smallest module so far is kept", file=sys.stderr)
    _write(flags.output, session.best)
    trials = session.progress.trials
    after = num_operations(session.best)
    print(f"{before} -> {after} operations in {trials} trials", file=sys.stderr)


def _confirm(command: Command, session: Session) -> None:
    """Say so if the test does not fail on the result each time, or fails on anything."""
    once = replace(command, repeat=1)
    failed = sum(once.fails(session.best.clone()) for _ in range(CONFIRMATIONS))
    if failed < CONFIRMATIONS:
        print(
            f"warning: on the result the test fails in {failed} of {CONFIRMATIONS} runs: it is "
            "flaky, and may fail for another reason than at first (--repeat N tries more often)",
            file=sys.stderr,
        )
    elif not num_operations(session.best):
        print(
            "warning: the test fails on a function that does nothing; if it is not that failure "
            "which you look for, say what its output holds: --output-matches",
            file=sys.stderr,
        )


def _read(flags: Flags) -> ModuleOp:
    known = formats()
    if flags.format not in known:
        listed = ", ".join(known)
        raise InputError(f"unknown input format '{flags.format}'", hint=f"formats: {listed}")
    if flags.format != "nn":
        return checked(known[flags.format]()(flags.input), flags.input)
    module = parse(read_text(flags.input), flags.input, load().context())
    if flags.input != "-":
        load_weights(module, flags.input)
    return module


def _write(path: str, module: ModuleOp) -> None:
    if path == "-":
        sys.stdout.write(f"{print_module(module).rstrip()}\n")
    else:
        write_module(module, path)
