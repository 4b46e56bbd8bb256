"""`--explain` and `--pass-statistics`: what passes say of their work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import groupby
from typing import TextIO

from xdsl.dialects.builtin import ModuleOp

from ...core.counters import slug
from ...core.explain import explaining
from ...core.passes import statistics_of
from .instruments import Instrument
from .pipeline import Step
from .timing import banner

Row = tuple[str, int, str]
"""A statistic: its name, its value, what it says."""


class Listener(Instrument):
    """Listens to passes: prints why rules left ops alone, and keeps what was counted.

    Args:
        explain: flags of passes to print the reasons of; `*` stands for all.
        counted: whether to listen to the others too, for what they count.
    """

    def __init__(self, explain: Sequence[str], counted: bool, stream: TextIO):
        self._explain = explain
        self._counted = counted
        self._stream = stream
        self.counts: dict[int, Counter[str]] = {}
        """By identity of the step."""

    def begin(self, step: Step, module: ModuleOp) -> None:
        if self._is_explained(step) and not step.scopes(module):
            where = " inside ".join(reversed(step.anchors))
            print(f"{step.flag}: the module has no {where} to run on", file=self._stream)

    def _is_explained(self, step: Step) -> bool:
        return "*" in self._explain or step.flag in self._explain

    def running(self, step: Step) -> AbstractContextManager[object]:
        is_explained = self._is_explained(step)
        listens = is_explained or self._counted
        return self._listen(step, is_explained) if listens else nullcontext()

    @contextmanager
    def _listen(self, step: Step, is_explained: bool) -> Generator[None]:
        with explaining() as log:
            try:
                yield
            finally:
                self.counts.setdefault(id(step), Counter()).update(log.counts)
                for note in log.notes if is_explained else ():
                    print(f"{step.flag}: {note}", file=self._stream)

    def pipeline(self, steps: Sequence[Step]) -> str:
        """The report of `--pass-statistics-display=pipeline`: every step, in its nest."""
        return "\n".join([*banner("Pass statistics"), *self._nest(steps, 0), ""])

    def _nest(self, steps: Sequence[Step], depth: int) -> list[str]:
        lines: list[str] = []
        for anchor, group in groupby(steps, lambda step: step.anchors[depth : depth + 1]):
            if anchor:
                lines.append(f"{'  ' * depth}'{anchor[0]}' Pipeline")
                lines += self._nest(list(group), depth + 1)
                continue
            for step in group:
                lines.append(f"{'  ' * depth}{step.title}")
                lines += _shown(self._rows([step]), "  " * depth)
        return lines

    def list(self, steps: Sequence[Step]) -> str:
        """The report of `--pass-statistics-display=list`: passes by name, their steps together."""
        lines = banner("Pass statistics")
        ordered = sorted(steps, key=lambda step: step.title)
        for title, group in groupby(ordered, lambda step: step.title):
            lines += [title, *_shown(self._rows(list(group)), "")]
        return "\n".join([*lines, ""])

    def json(self, steps: Sequence[Step]) -> str:
        """One line: a list of steps with their anchors and numbers."""
        rows = [
            {
                "pass": step.flag,
                "anchors": list(step.anchors),
                "statistics": {name: number for name, number, _ in self._rows([step])},
            }
            for step in steps
        ]
        return json.dumps(rows) + "\n"

    def _rows(self, steps: Sequence[Step]) -> list[Row]:
        """What passes of one class declare, and what else they have counted."""
        counts: Counter[str] = Counter()
        for step in steps:
            counts += self.counts.get(id(step), Counter())
        declared = statistics_of(type(steps[0].pass_))
        rows = [(slug(one.name), counts.pop(one.name, 0), one.description) for one in declared]
        return rows + [(slug(name), number, "") for name, number in sorted(counts.items())]


def _shown(rows: Sequence[Row], indent: str) -> list[str]:
    number_width = max((len(str(number)) for _, number, _ in rows), default=0)
    name_width = max((len(name) for name, _, _ in rows), default=0)
    return [
        f"{indent}  (S) {number:>{number_width}} {name:<{name_width}}"
        f"{' - ' if what else ''}{what}".rstrip()
        for name, number, what in rows
    ]
