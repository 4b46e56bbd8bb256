"""One kernel at every level, each line linked to the lines that it came from.

At each level every op gets its line in that level's text as its location; the next step carries it
on, and what an op's location says there is where its line came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from xdsl.dialects.builtin import (
    ArrayAttr,
    FileLineColLoc,
    FusedLoc,
    IntAttr,
    LocationAttr,
    NameLoc,
    NoneAttr,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.ir import Attribute, Operation

from ..core.locations import parts
from ..core.walk import walk
from ..dialects import sched, te
from ..dialects.loop import ForOp, KernelOp
from ..lowering.llvm_to_object import assembly
from ..lowering.loop_to_llvm import emit_kernel
from ..lowering.loop_to_llvm.debug import LineTable
from ..textir.lines import Listing, listing
from .kernels import KernelWatcher, lower_kernel
from .options import Options
from .timing import Timings

NODES, TE, SCHEDULE, NEST, SCHEDULED, TILES, ASSEMBLY = range(7)
"""Levels, by number."""
NAMES = ("nodes", "te", "schedule", "nest", "scheduled", "tiles", "assembly")
Place = tuple[int, int]
"""A level and a line of it; lines count from 1."""


@dataclass
class Level:
    """A text, and for each line the places it came from, at levels before it."""

    lines: list[str]
    origins: list[list[Place]]


@dataclass
class KernelLevels:
    """One kernel at the levels that it has, by their numbers."""

    levels: dict[int, Level] = field(default_factory=dict[int, Level])

    @property
    def nodes(self) -> list[str]:
        """Names of the model's nodes that it came from."""
        return self.levels[NODES].lines


def trace_kernel(
    kernel: te.KernelOp | KernelOp,
    schedule: sched.ScheduleOp | None,
    options: Options,
) -> KernelLevels:
    """Lower a kernel again, and look at it on the way. The kernel stays as it is.

    Args: schedule: the one that it was compiled with; `None` for a kernel written as loops.
    Raises: NncError: as compiling it would.
    """
    name = kernel.sym_name.data
    watcher = _Tracer(schedule.clone() if schedule is not None else None, name)
    tiles, _ = lower_kernel(kernel, watcher.schedule, name, options, Timings(), watcher)
    watcher.add(TILES, tiles)
    emitted = emit_kernel(tiles, options.target, LineTable())
    text = assembly(emitted.llvm_text, options.target)
    watcher.result.levels[ASSEMBLY] = _assembly_level(text)
    return watcher.result


class _Tracer(KernelWatcher):
    """Takes down a kernel at each level."""

    def __init__(self, schedule: sched.ScheduleOp | None, name: str):
        self.result = KernelLevels()
        self.schedule = schedule
        self._nodes: list[str] = []
        self.result.levels[NODES] = Level(self._nodes, [])
        self._primitives: dict[Operation, int] = {}
        self._before: dict[Operation, _Print] = {}
        if schedule is not None:
            schedule.kernel = SymbolRefAttr(name)

    def at_te(self, kernel: te.KernelOp) -> None:
        self.add(TE, kernel)

    def at_nest(self, kernel: KernelOp) -> None:
        self.add(NEST, kernel)
        self._before = _prints(kernel)
        if self.schedule is not None:
            text = listing(self.schedule)
            self._primitives = text.lines
            self.result.levels[SCHEDULE] = self._level(text, {})

    def after_primitive(self, kernel: KernelOp, primitive: Operation) -> None:
        """Everything that the primitive made or changed came from its line, too."""
        after = _prints(kernel)
        line = self._primitives.get(primitive)
        if line is not None:
            mark = _location(SCHEDULE, line)
            for op, print_ in after.items():
                if self._before.get(op) != print_:
                    _add_location(op, mark)
        self._before = after

    def at_scheduled(self, kernel: KernelOp) -> None:
        self.add(SCHEDULED, kernel)

    def add(self, number: int, kernel: Operation) -> None:
        """Take down a level; from here on the ops' locations are their lines."""
        text = listing(kernel)
        locations = {op: op.location for op in text.lines}
        self.result.levels[number] = self._level(text, locations)
        text.set_locations(NAMES[number])

    def _level(self, text: Listing, locations: dict[Operation, LocationAttr]) -> Level:
        lines = text.text.rstrip("\n").split("\n")
        found: list[dict[Place, None]] = [{} for _ in lines]
        for op, line in text.lines.items():
            for place in self._places(locations.get(op)):
                found[line - 1][place] = None
        return Level(lines, [list(places) for places in found])

    def _places(self, location: LocationAttr | None) -> Iterator[Place]:
        for part in parts(location) if location is not None else ():
            if isinstance(part, NameLoc):
                name = part.desc.data
                if name not in self._nodes:
                    self._nodes.append(name)
                    self.result.levels[NODES].origins.append([])
                yield NODES, self._nodes.index(name) + 1
            elif isinstance(part, FileLineColLoc) and part.filename.data in NAMES:
                yield NAMES.index(part.filename.data), part.line.data


_Print = tuple[Operation | None, dict[str, Attribute]]


def _prints(kernel: KernelOp) -> dict[Operation, _Print]:
    """What a primitive may change of an op: its properties; of a loop, where it stands."""
    return {
        op: (op.parent_op() if isinstance(op, ForOp) else None, dict(op.properties))
        for op in walk(kernel)
        if op is not kernel
    }


def _location(level: int, line: int) -> FileLineColLoc:
    return FileLineColLoc(StringAttr(NAMES[level]), IntAttr(line), IntAttr(1))


def _add_location(op: Operation, mark: LocationAttr) -> None:
    """Unlike `fuse`, without an upper limit: a loop may come from many primitives."""
    held = parts(op.location)
    if mark not in held:
        op.location = FusedLoc(ArrayAttr([*held, mark]), NoneAttr())


# --- assembly

_LOC = re.compile(r"\t\.loc\t\d+ (\d+)")
_NOISE = re.compile(
    r"\t\.(file|cfi_|type|size|globl|p2align|ident|section\t\"?\.(note|debug)|addrsig)"
    r"|\.L(tmp|func_begin|func_end)\w*:|\s*$|\t\.text"
)


def _assembly_level(text: str) -> Level:
    """Assembly without directives for linker and debugger; `.loc` gives the origins."""
    level = Level([], [])
    line = 0
    for raw in text.split("\n"):
        if (found := _LOC.match(raw)) is not None:
            line = int(found[1])
        elif raw.startswith("\t.section\t.debug"):
            break
        elif not _NOISE.match(raw):
            is_code = raw.startswith("\t") and not raw.startswith("\t.")
            shown = raw.replace("\t", "    ", 1).replace("\t", " ")
            level.lines.append(shown)
            level.origins.append([(TILES, line)] if is_code and line else [])
    return level
