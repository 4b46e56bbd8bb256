"""`--print-ir-...`: the IR around passes, on stderr or in a tree of files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from xdsl.ir import Operation

from ...core.walk import ancestors
from ..files import writing
from ..terminal import write_ir
from .flags import Flags
from .inside import named
from .instruments import Instrument
from .pipeline import Step

Print = Callable[[Operation], str]


class PrintIR(Instrument):
    """Prints the op that a pass runs on, with MLIR's banner.

    `after-change` narrows down the passes that `after` or `after-all` name; alone it means all, as
    does a folder for the files.
    """

    def __init__(self, flags: Flags, print_: Print, stream: TextIO):
        self._flags = flags
        self._print = print_
        self._stream = stream
        self._tree = None if flags.tree_dir is None else Tree(Path(flags.tree_dir), flags.generic)
        self._text_before = ""
        named_ = flags.print_before or flags.print_after or flags.print_before_all
        alone = self._tree is not None and not named_ and not flags.print_after_failure
        change = flags.print_after_change and not flags.print_after
        self._after_all = flags.print_after_all or change or alone
        self.is_wanted = bool(named_ or self._after_all or flags.print_after_failure)
        """Whether any flag asks for IR."""

    def before(self, step: Step, op: Operation) -> None:
        if self._flags.print_after_change:
            self._text_before = self._text(op)
        if self._flags.print_before_all or step.flag in self._flags.print_before:
            self._dump("Before {}", step, op, self._text(op))

    def after(self, step: Step, op: Operation) -> None:
        if not (self._after_all or step.flag in self._flags.print_after):
            return
        text = self._text(op)
        if not self._flags.print_after_change or text != self._text_before:
            self._dump("After {}", step, op, text)

    def failed(self, step: Step, op: Operation) -> None:
        flags = self._flags
        if flags.print_after_failure or self._after_all or step.flag in flags.print_after:
            self._dump("After {} Failed", step, op, self._text(op))

    def _text(self, op: Operation) -> str:
        return self._print(top(op) if self._flags.module_scope else op)

    def _dump(self, when: str, step: Step, op: Operation, text: str) -> None:
        banner = f"IR Dump {when.format(step.title)} ({step.flag})"
        if self._flags.module_scope:
            kind, _, symbol = named(op).partition(" ")
            banner += f" ('{kind}' operation{': ' if symbol else ''}{symbol})"
        whole = f"// -----// {banner} //----- //\n{text}\n"
        if self._tree is None:
            write_ir(f"{whole}\n", self._flags.color, self._stream)
        else:
            self._tree.write(step, op, whole)


def top(op: Operation) -> Operation:
    """The op around all others."""
    return [op, *ancestors(op)][-1]


class Tree:
    """A file for each dump, in folders that nest as the ops do, numbered as MLIR does.

    `DIR/builtin_module_no-symbol-name/func_func_main/1_0_cse.nn` is the first dump of `@main`, the
    module having been dumped twice.
    """

    def __init__(self, folder: Path, generic: bool):
        self._folder = folder
        self._suffix = "mlir" if generic else "nn"
        self._numbers: dict[Operation, int] = {}
        self._names: dict[Operation, str] = {}
        self._taken: set[tuple[Operation | None, str]] = set()

    def write(self, step: Step, op: Operation, text: str) -> None:
        """Write the dump of `op`.

        Raises: NncError: the folder or file cannot be written.
        """
        around = [*ancestors(op)][::-1]
        counts = [self._numbers.setdefault(one, 0) for one in around]
        self._numbers[op] = self._numbers[op] + 1 if op in self._numbers else 0
        folder = self._folder.joinpath(*(self._name(one) for one in (*around, op)))
        prefix = "_".join(map(str, (*counts, self._numbers[op])))
        path = folder / f"{prefix}_{step.flag}.{self._suffix}"
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _name(self, op: Operation) -> str:
        """A folder's name that no other op in the same folder has."""
        if op not in self._names:
            kind, _, symbol = named(op).partition(" @")
            words = f"{kind}_{symbol or 'no-symbol-name'}"
            stem = re.sub(r"[^\w-]", "_", words)
            name, number = stem, 2
            while (op.parent_op(), name) in self._taken:
                name, number = f"{stem}_{number}", number + 1
            self._taken.add((op.parent_op(), name))
            self._names[op] = name
        return self._names[op]
