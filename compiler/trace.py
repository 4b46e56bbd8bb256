"""What each pass of the pipeline makes of a module, as texts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from time import perf_counter

from xdsl.dialects.builtin import ModuleOp

from ..core.walk import walk
from ..textir import print_module
from .options import Options
from .pipelines import GRAPH, run_passes
from .program import lower_to_te, set_target
from .timing import Timings, without_collector

ELIDED = 8
"""Literals with more elements than this are left out of the texts."""


@dataclass(frozen=True)
class PassStep:
    """One pass: the module's text before and after it, and how long it took."""

    name: str
    before: str
    after: str
    seconds: float


def trace_passes(module: ModuleOp, options: Options) -> list[PassStep]:
    """Run the graph level's passes on a copy of a module whose shapes are all known.

    Values without a name get one that they keep, so that texts differ only where the IR does.
    Raises: NncError: as compiling it would.
    """
    copy = module.clone()
    set_target(copy, options)
    tracer = _Tracer(copy)
    with without_collector():
        run_passes(GRAPH, copy, Timings(), after=tracer.after)
        lower_to_te(copy, options, Timings(), tracer.after)
    return tracer.steps


class _Tracer:
    def __init__(self, module: ModuleOp):
        self.steps: list[PassStep] = []
        self._numbers = count()
        self._text = self._print(module)
        self._start = perf_counter()

    def after(self, name: str, module: ModuleOp) -> None:
        seconds = perf_counter() - self._start
        text = self._print(module)
        self.steps.append(PassStep(name, self._text, text, seconds))
        self._text, self._start = text, perf_counter()

    def _print(self, module: ModuleOp) -> str:
        for op in walk(module):
            for result in op.results:
                if result.name_hint is None:
                    result.name_hint = f"{op.name.partition('.')[2]}_{next(self._numbers)}"
        return print_module(module, elide=ELIDED)
