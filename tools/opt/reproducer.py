"""Reproducers: a module with the pipeline that is to be run on it, in one file.

    // error: internal error in pass 'speak': RuntimeError: a bug
    // nn-opt --run-reproducer crash.nn
    func.func @main(...) ...

    {-#
      external_resources: {
        mlir_reproducer: {
          pipeline: "builtin.module(speak{how=crash})",
          verify_each: true
        }
      }
    #-}

The section at the end is MLIR's, and without `--run-reproducer` it means nothing. Weights that the
text names lie beside it, as beside any text. Further entries of ours, where they are needed:
`check_semantics: true`, `check_native: true`, `debug_counter: "cse=3:1"`, and `emit: "llvm"`, a
target for `-t`.

A crash reproducer is written before anything runs, and removed when all went well: it is there
after a pass that kills the process, or that is killed because it never ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xdsl.dialects.builtin import ModuleOp, NameLoc

from ...core import counters
from ...core.errors import TextError
from ...core.locations import parts
from ...core.walk import walk
from ...textir import print_module
from ..files import writing
from .instruments import Instrument
from .pipeline import Step, render

_KEY = "mlir_reproducer"


@dataclass(frozen=True)
class Recipe:
    """What to do with a module: the entries of the section, under their names there."""

    pipeline: str
    verify_each: bool = True
    check_semantics: bool = False
    check_native: bool = False
    debug_counter: str = ""
    emit: str = ""

    @property
    def section(self) -> str:
        """The `{-# ... #-}` of a file; what is as by default is left out, but for MLIR's."""
        entries = [f"pipeline: {json.dumps(self.pipeline)}"]
        entries.append(f"verify_each: {json.dumps(self.verify_each)}")
        for name in ("check_semantics", "check_native", "debug_counter", "emit"):
            if value := getattr(self, name):
                entries.append(f"{name}: {json.dumps(value)}")
        inner = ",\n      ".join(entries)
        return (
            f"{{-#\n  external_resources: {{\n    {_KEY}: {{\n      {inner}\n    }}\n  }}\n#-}}\n"
        )


def write(path: str, module: ModuleOp, recipe: Recipe, comments: Sequence[str] = ()) -> None:
    """Write a reproducer, and the weights of the module beside it.

    Locations are written where the module came from a model: its nodes have names.
    Raises: NncError: the file cannot be written.
    """
    write_text(path, print_module(module, locations=_has_nodes(module)), recipe, comments)
    write_weights(path, module)


def write_text(path: str, text: str, recipe: Recipe, comments: Sequence[str] = ()) -> None:
    """Write a reproducer of a printed module, without weights.

    Raises: NncError: the file cannot be written.
    """
    lines = [f"// {line}" for comment in comments for line in comment.splitlines()]
    whole = "\n".join([*lines, text.rstrip("\n"), "", recipe.section])
    with writing(path):
        Path(path).write_text(whole)


def write_weights(path: str, module: ModuleOp) -> frozenset[str]:
    """Write what a module's text names by digest beside it; the digests."""
    from ...textir import weights

    arrays = weights.collect(module)
    if arrays:
        weights.save(arrays, path)
    return frozenset(arrays)


def _has_nodes(module: ModuleOp) -> bool:
    return any(isinstance(part, NameLoc) for op in walk(module) for part in parts(op.location))


_SECTION = re.compile(r"^\{-#(.*?)#-\}\s*\Z", re.DOTALL | re.MULTILINE)


def split_section(text: str, file: str) -> tuple[str, Recipe | None]:
    """A text without the section at its end, every line at its place, and what that says.

    Raises: TextError: the section is malformed.
    """
    at = text.rfind("\n{-#") + 1
    found = _SECTION.match(text, at)
    if found is None:
        return text, None
    line = text.count("\n", 0, at) + 1
    try:
        data = _Reader(found[1]).section()
    except ValueError as error:
        raise TextError(f"resources: {error}", where=f"{file}:{line}:1") from None
    entries = data.get("external_resources", {}).get(_KEY)
    return text[:at], None if entries is None else _recipe(entries, f"{file}:{line}:1")


def _recipe(entries: Mapping[str, Any], where: str) -> Recipe:
    """Only entries that are ours, or MLIR's and without meaning for us, are there."""
    known: dict[str, type] = dict.fromkeys(("verify_each", "check_semantics", "check_native"), bool)
    known |= dict.fromkeys(("pipeline", "debug_counter", "emit"), str)
    ignored = {"disable_threading"}
    for name, value in entries.items():
        if name not in known.keys() | ignored:
            raise TextError(f"unknown entry '{name}' of {_KEY}", where=where)
        if name in known and not isinstance(value, known[name]):
            raise TextError(f"{_KEY}: '{name}' is not of type {known[name].__name__}", where=where)
    if "pipeline" not in entries:
        raise TextError(f"{_KEY} has no pipeline", where=where)
    return Recipe(**{name: value for name, value in entries.items() if name not in ignored})


_TOKEN = re.compile(r'\s*("(?:\\.|[^"\\])*"|[\w.$-]+|[{}:,])')


class _Reader:
    """Reads `key: value, ...`; a value is a string, a bool, a number or `{ key: value, ... }`."""

    def __init__(self, text: str):
        self._tokens: Iterator[str] = iter([*_tokens(text), ""])
        self._next = next(self._tokens)

    def section(self) -> dict[str, Any]:
        found = self._entries("")
        self._expect("")
        return found

    def _entries(self, end: str) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while self._next != end:
            key = self._take()
            self._expect(":")
            entries[json.loads(key) if key.startswith('"') else key] = self._value()
            if self._next != ",":
                break
            self._take()
        return entries

    def _value(self) -> Any:
        token = self._take()
        if token != "{":
            return json.loads(token)  # a ValueError for anything else
        inner = self._entries("}")
        self._expect("}")
        return inner

    def _take(self) -> str:
        token = self._next
        if not token:
            raise ValueError("unexpected end")
        self._next = next(self._tokens)
        return token

    def _expect(self, token: str) -> None:
        if self._next != token:
            end = "#-}"
            raise ValueError(f"expected '{token or end}', got '{self._next or end}'")
        if token:
            self._take()


def _tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"unexpected '{text[at:].strip()[:1]}'")
        yield found[1]
        at = found.end()


class CrashReproducer(Instrument):
    """Keeps a reproducer of what is being done in a file; `keep` or `remove` it in the end.

    Args:
        path: the file.
        local: the pass at work and the IR right before it, instead of the whole pipeline and the
            IR before it.
        recipe: makes the section for a pipeline, at this point of the run.
        command: how to run it.
    """

    def __init__(
        self,
        path: str,
        local: bool,
        recipe: Callable[[str], Recipe],
        command: str,
    ):
        self._path = path
        self._local = local
        self._make_recipe = recipe
        self._command = command
        self._text = ""
        self._recipe: Recipe | None = None
        self._digests: frozenset[str] | None = None

    def start(self, steps: Sequence[Step], module: ModuleOp) -> None:
        """The pipeline is about to run."""
        self._remember(module, self._make_recipe(render(steps)))

    def begin(self, step: Step, module: ModuleOp) -> None:
        if self._local:
            self._remember(module, self._make_recipe(render([step])))

    def emitting(self, module: ModuleOp, target: str) -> None:
        """The pipeline has run, a target is about to be written."""
        assert self._recipe is not None, "started"
        if self._local:
            self._remember(module, replace(self._make_recipe(render([])), emit=target))
        else:
            self._recipe = replace(self._recipe, emit=target)
            self._write([])

    def keep(self, error: str) -> str:
        """Something failed: note what, in the file; a line for the user."""
        self._write([f"error: {error}"])
        return f"note: reproducer written to {self._path}: {self._command}"

    def remove(self) -> None:
        """All went well."""
        from ...textir import weights

        Path(self._path).unlink(missing_ok=True)
        if self._digests:
            weights.side_file(self._path).unlink(missing_ok=True)

    def _remember(self, module: ModuleOp, recipe: Recipe) -> None:
        self._text = print_module(module, locations=_has_nodes(module))
        self._recipe = recipe
        self._write([])
        self._digests = self._weights(module)

    def _weights(self, module: ModuleOp) -> frozenset[str] | None:
        from ...textir import weights

        named = frozenset(weight.digest for _, weight in weights.weights_of(module))
        if self._digests is not None and named <= self._digests:
            return self._digests
        return write_weights(self._path, module)

    def _write(self, comments: Sequence[str]) -> None:
        assert self._recipe is not None, "there is something to write"
        write_text(self._path, self._text, self._recipe, [*comments, self._command])


def counters_text() -> str:
    """The counters at work, as they stand, in the words of `--debug-counter`."""
    active = counters.active()
    rest = {} if active is None else active.rest()
    return ",".join(f"{name}={span}" for name, span in rest.items())
