"""One kernel at every level, each line linked to the lines that it came from.

At each level every op gets its line in that level's text as its location; the next step carries it
on, and what an op's location says there is where its line came from. What a primitive of the
schedule has made gets its number.

`KernelTracer` looks on while kernels are compiled (`kernels.watching`), so that none is lowered
twice; `trace_kernel` lowers one that is given.
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
    NoneAttr,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.ir import Attribute, Operation

from ..core.locations import parts, source_name, source_names
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
        """Names of the model's nodes, or lines of its text, that it came from."""
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
    tracer = KernelTracer(kernel.sym_name.data)
    tiles, _ = lower_kernel(kernel, schedule, tracer.name, options, Timings(), tracer)
    tracer.at_code(emit_kernel(tiles, options.target, tracer.line_table).llvm_text, options)
    return tracer.result


class KernelTracer(KernelWatcher):
    """Takes down a kernel at each level.

    Args: name: how its texts call it, whatever its symbol is.
    """

    def __init__(self, name: str):
        self.name = name
        self.result = KernelLevels()
        self.line_table = LineTable()
        self._symbol = name
        self.result.levels[NODES] = Level([], [])
        self._num_primitives = 0
        self._lines: list[int] = []
        """Of the primitives, in the text of the schedule, which is known when all have been run."""
        self._before: dict[Operation, _Print] = {}

    def at_te(self, kernel: te.KernelOp) -> None:
        self._add(TE, kernel)

    def at_nest(self, kernel: KernelOp) -> None:
        self._add(NEST, kernel)
        self._before = _prints(kernel)

    def after_primitive(self, kernel: KernelOp, primitive: Operation) -> None:
        """Everything that the primitive made or changed came from it, too."""
        after = _prints(kernel)
        self._num_primitives += 1
        mark = _location(SCHEDULE, self._num_primitives)
        for op, print_ in after.items():
            if self._before.get(op) != print_:
                _add_location(op, mark)
        self._before = after

    def at_scheduled(self, kernel: KernelOp, schedule: sched.ScheduleOp | None) -> None:
        if schedule is not None:
            shown = schedule.clone()
            shown.kernel = SymbolRefAttr(self.name)
            text = listing(shown)
            primitives = [op for op in shown.body.block.ops if not isinstance(op, sched.ChooseOp)]
            self._lines = [text.lines[op] for op in primitives]
            self.result.levels[SCHEDULE] = self._level(text, {})
        self._add(SCHEDULED, kernel)

    def at_tiles(self, kernel: KernelOp) -> None:
        self._add(TILES, kernel)

    def at_code(self, llvm_text: str, options: Options) -> None:
        text = assembly(llvm_text, options.target).replace(self._symbol, self.name)
        self.result.levels[ASSEMBLY] = _assembly_level(text)

    def _add(self, number: int, kernel: te.KernelOp | KernelOp) -> None:
        """Take down a level; from here on the ops' locations are their lines."""
        self._symbol = kernel.sym_name.data
        kernel.sym_name = StringAttr(self.name)
        text = listing(kernel)
        kernel.sym_name = StringAttr(self._symbol)
        locations = {op: op.location for op in text.lines}
        if len(self.result.levels) == 1:  # the first text: its ops have the model's locations
            names = source_names(locations.values())
            self.result.levels[NODES] = Level(names, [[] for _ in names])
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
            if isinstance(part, FileLineColLoc) and part.filename.data in NAMES:
                level, line = NAMES.index(part.filename.data), part.line.data
                yield level, self._lines[line - 1] if level == SCHEDULE else line
            elif (name := source_name(part)) in self.result.nodes:
                yield NODES, self.result.nodes.index(name) + 1


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
