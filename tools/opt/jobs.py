"""What is to be done with a module, as the flags or a reproducer say; and reproducers of it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from ...core import counters
from ...core.errors import NncError, did_you_mean
from .flags import Flags
from .instruments import Instrument
from .pipeline import Step, build, render
from .registry import Registry
from .reproducer import CrashReproducer, Recipe, counters_text, write


@dataclass(frozen=True)
class Job:
    """What is to be done with a module."""

    steps: list[Step]
    emit: str
    verify_each: bool
    check_semantics: bool
    check_native: bool
    spans: dict[str, counters.Span]

    @staticmethod
    def of(flags: Flags, registry: Registry) -> Job:
        """What the flags say."""
        return Job(
            steps=build(flags.pipelines, registry),
            emit=flags.emit,
            verify_each=flags.verify_each,
            check_semantics=flags.check_semantics,
            check_native=flags.check_native,
            spans=counters.parse_spans(",".join(flags.debug_counters)),
        )

    def reproducing(self, recipe: Recipe | None, file: str, registry: Registry) -> Job:
        """What a reproducer says, and the flags besides.

        Raises: NncError: `file` is none.
        """
        if recipe is None:
            raise NncError(
                "this is no reproducer: nothing says which pipeline to run",
                where=file,
                hint="--generate-reproducer=FILE writes one",
            )
        return Job(
            steps=build([recipe.pipeline], registry),
            emit=recipe.emit if recipe.emit and self.emit == "nn" else self.emit,
            verify_each=recipe.verify_each and self.verify_each,
            check_semantics=recipe.check_semantics or self.check_semantics,
            check_native=recipe.check_native or self.check_native,
            spans=counters.parse_spans(recipe.debug_counter) | self.spans,
        )

    def recipe(self, pipeline: str) -> Recipe:
        """What a reproducer of this pipeline says, at this point of the run."""
        return Recipe(
            pipeline=pipeline,
            verify_each=self.verify_each,
            check_semantics=self.check_semantics,
            check_native=self.check_native,
            debug_counter=counters_text(),
        )

    @contextmanager
    def counting(self, *, report: bool) -> Generator[None]:
        """Debug counters, where there are any; those that did nothing are named."""
        if not self.spans and not report:
            yield
            return
        with counters.counting(self.spans) as counted:
            yield
        for name in counted.unasked:
            words = (f"debug counter '{name}' was never asked", did_you_mean(name, counted.seen))
            print(f"warning: {', '.join(filter(None, words))}", file=sys.stderr)
        if report:
            sys.stderr.write(counted.report())


class Reproducers:
    """The reproducers that the flags ask for: of the first module, or of the first that fails."""

    def __init__(self, flags: Flags):
        self._flags = flags
        self._wanted = flags.generate_reproducer
        self._is_kept = flags.crash_reproducer is None
        self._crash: CrashReproducer | None = None
        if flags.local_reproducer and flags.crash_reproducer is None:
            raise NncError(
                "--pass-pipeline-local-reproducer needs a file",
                hint="add --pass-pipeline-crash-reproducer=FILE",
            )

    def start(self, job: Job, module: ModuleOp) -> list[Instrument]:
        """The job begins on this module; what is to be done around its passes."""
        if self._wanted is not None:
            recipe = job.recipe(render(job.steps))
            write(self._wanted, module, recipe, [self._command(self._wanted)])
            self._wanted = None
        path = self._flags.crash_reproducer
        if path is None or self._is_kept:
            return []
        command, is_local = self._command(path), self._flags.local_reproducer
        self._crash = CrashReproducer(path, is_local, job.recipe, command)
        self._crash.start(job.steps, module)
        return [self._crash]

    def emitting(self, module: ModuleOp, job: Job) -> None:
        """The passes have run, a target is about to be written."""
        if self._crash is not None:
            self._crash.emitting(module, job.emit)

    def settle(self, errors: list[str]) -> None:
        """The job is done: keep the reproducer if there were errors, or remove it."""
        crash, self._crash = self._crash, None
        if crash is not None and errors:
            self._is_kept = True
            print(crash.keep(errors[0]), file=sys.stderr)
        elif crash is not None:
            crash.remove()

    def _command(self, path: str) -> str:
        """The command that runs a reproducer."""
        flags = self._flags
        words = ["nn-opt", "--run-reproducer", *(f"--load-plugin={name}" for name in flags.plugins)]
        if flags.allow_unregistered:
            words.append("--allow-unregistered-dialect")
        return shlex.join([*words, path])
