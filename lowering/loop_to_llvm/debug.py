"""Line tables: which line of a kernel's text each instruction comes from, as LLVM's metadata.

Assembly then has a `.loc` before what a line became; the code itself stays the same.
"""

from __future__ import annotations

from xdsl.dialects.builtin import FileLineColLoc
from xdsl.ir import Operation

from ...core.locations import parts

_HEADER = """!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2}
!0 = distinct !DICompileUnit(language: DW_LANG_C99, file: !1, emissionKind: DebugDirectivesOnly)
!1 = !DIFile(filename: "loop", directory: "")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!3 = !DISubroutineType(types: !4)
!4 = !{}"""


class LineTable:
    """Metadata of one kernel, filled while its functions are written."""

    def __init__(self) -> None:
        self._nodes: list[str] = []
        self._scope = ""
        self._known: dict[tuple[str, int], str] = {}

    def begin(self, symbol: str, op: Operation) -> str:
        """Open a function; what its `define` ends with."""
        self._scope = self._add(
            f'distinct !DISubprogram(name: "{symbol}", scope: !1, file: !1, line: {_line(op)}, '
            "type: !3, spFlags: DISPFlagDefinition, unit: !0)"
        )
        return f" !dbg {self._scope}"

    def mark(self, op: Operation | None) -> str:
        """What an instruction ends with that `op` became."""
        line = _line(op) if op is not None else 0
        key = (self._scope, line)
        if key not in self._known:
            self._known[key] = self._add(f"!DILocation(line: {line}, scope: {self._scope})")
        return f", !dbg {self._known[key]}"

    def text(self) -> str:
        """All metadata."""
        return "\n".join([_HEADER, *self._nodes, ""])

    def _add(self, node: str) -> str:
        name = f"!{len(self._nodes) + 5}"
        self._nodes.append(f"{name} = {node}")
        return name


def _line(op: Operation) -> int:
    """The first line that an op's location names; 0 is none."""
    found = (each for each in parts(op.location) if isinstance(each, FileLineColLoc))
    return next((each.line.data for each in found), 0)
