"""Upstream MLIR's custom syntax, read by xDSL's own parser."""

from __future__ import annotations

import re
from bisect import bisect_right

from xdsl.context import Context
from xdsl.dialects.builtin import FileLineColLoc, IntAttr, ModuleOp, StringAttr, UnknownLoc
from xdsl.ir import Operation

from .dense_syntax import DenseParser


def parse_upstream(text: str, file: str, context: Context) -> ModuleOp:
    """Read MLIR's custom syntax with xDSL's own parser (`-f mlir`)."""
    return _LocatingParser(context, text, file).parse_module()


_RESULTS = re.compile(r"(%[\w$.-]+(:\d+)?\s*,?\s*)+=\s*")
"""What stands before an op's name."""


class _LocatingParser(DenseParser):
    """xDSL's parser, which leaves out locations: here every op gets its place in the text."""

    def __init__(self, context: Context, text: str, file: str):
        super().__init__(context, text, file)
        self._text = text
        self._file = file
        self._line_starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]

    def parse_operation(self) -> Operation:
        results = _RESULTS.match(self._text, self.pos)
        start = results.end() if results else self.pos
        op = super().parse_operation()
        if isinstance(op.location, UnknownLoc):
            line = bisect_right(self._line_starts, start)
            column = start - self._line_starts[line - 1] + 1
            op.location = FileLineColLoc(StringAttr(self._file), IntAttr(line), IntAttr(column))
        return op
