"""`--timing`: the wall time of each stage of a run, as a tree, a list, or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

RULE = f"==={'-' * 73}==="


def banner(title: str) -> list[str]:
    """The head of a report, as MLIR prints it."""
    return [RULE, f"{f'... {title} report ...':^79}".rstrip(), RULE]


@dataclass
class Stage:
    """A stage and the stages within it, in the order in which they first ran."""

    name: str
    seconds: float = 0.0
    stages: dict[tuple[str, int], Stage] = field(default_factory=dict[tuple[str, int], "Stage"])
    _met: Counter[str] = field(default_factory=Counter[str])

    def enter(self, name: str, *, joined: bool) -> Stage:
        """The next inner stage of this name: where this one is run again, the same as then."""
        key = name, self._met[name]
        self._met[name] += not joined
        stage = self.stages.setdefault(key, Stage(name))
        stage.restart()
        return stage

    def restart(self) -> None:
        """From here on inner stages are those of a new run."""
        self._met.clear()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Stage]]:
        """The stages inside, with how deep they stand."""
        for stage in self.stages.values():
            yield depth, stage
            yield from stage.walk(depth + 1)

    @property
    def rest(self) -> float:
        """The time that no inner stage took."""
        return max(0.0, self.seconds - sum(stage.seconds for stage in self.stages.values()))


class Timing:
    """Where the time of a run goes."""

    def __init__(self) -> None:
        self.root = Stage("Total")
        self._stack = [self.root]
        self._start = perf_counter()

    @contextmanager
    def stage(self, name: str, *, joined: bool = False) -> Generator[None]:
        """Time what the block does, even where it fails; stages nest as blocks do.

        Joined: stages of this name around here are one.
        """
        stage = self._stack[-1].enter(name, joined=joined)
        self._stack.append(stage)
        start = perf_counter()
        try:
            yield
        finally:
            stage.seconds += perf_counter() - start
            self._stack.pop()

    def restart(self) -> None:
        """The next module of a split input: its stages are added to those of the last one."""
        self.root.restart()

    def stop(self) -> None:
        """Everything has run."""
        self.root.seconds = perf_counter() - self._start

    def tree(self) -> str:
        """The table of `--timing-display=tree`."""
        rows = [(f"{'  ' * depth}{stage.name}", stage.seconds) for depth, stage in self.root.walk()]
        return self._table(rows)

    def list(self) -> str:
        """The table of `--timing-display=list`: stages of one name together, longest first."""
        totals: dict[str, float] = {}
        for _, stage in self.root.walk():
            totals[stage.name] = totals.get(stage.name, 0.0) + stage.seconds
        return self._table(sorted(totals.items(), key=lambda row: -row[1]))

    def _table(self, rows: list[tuple[str, float]]) -> str:
        total = self.root.seconds
        lines = [
            *banner("Execution time"),
            f"  Total Execution Time: {total:.4f} seconds",
            "",
            "  ----Wall Time----  ----Name----",
        ]
        for name, seconds in [*rows, ("Rest", self.root.rest), ("Total", total)]:
            lines.append(f"  {seconds:9.4f} ({self._share(seconds):5.1f}%)  {name}")
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        """MLIR's JSON, on one line: a list of stages, each with those inside it in `passes`."""
        stages = [self._as_json(stage) for stage in self.root.stages.values()]
        ends = [Stage("Rest", self.root.rest), Stage("Total", self.root.seconds)]
        return json.dumps([*stages, *map(self._as_json, ends)]) + "\n"

    def _as_json(self, stage: Stage) -> dict[str, Any]:
        wall = {
            "duration": round(stage.seconds, 6),
            "percentage": round(self._share(stage.seconds), 1),
        }
        inner = [self._as_json(one) for one in stage.stages.values()]
        return {"wall": wall, "name": stage.name, "passes": inner}

    def _share(self, seconds: float) -> float:
        return 100 * seconds / self.root.seconds if self.root.seconds else 0.0
