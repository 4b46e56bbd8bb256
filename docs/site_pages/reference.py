"""Reference pages made from docstrings: ops, passes, machines, tools.

They are written to `docs/reference/` when the site is built, and never kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

from xdsl.ir import Attribute, Dialect, Operation
from xdsl.irdl import (
    IRDLOperation,
    OptOperandDef,
    OptPropertyDef,
    OptRegionDef,
    OptResultDef,
    VarOperandDef,
    VarRegionDef,
    VarResultDef,
)

from nnc.core.catalog import Catalog
from nnc.core.testing import call
from nnc.dialects import DIALECTS
from nnc.dialects.loop.elementwise import ElementwiseOp
from nnc.lowering import CONVERSIONS
from nnc.passes import PASSES
from nnc.schedules import PASSES as SCHEDULE_PASSES
from nnc.targets import TARGETS
from nnc.tools import nn_opt, nn_reduce, nnc
from nnc.tools.opt.listing import options

OPTIONAL = (OptOperandDef, OptPropertyDef, OptResultDef, OptRegionDef)
SEVERAL = (VarOperandDef, VarResultDef, VarRegionDef)
ABOUT = {
    "graph": "Operators on tensors: what a network computes.",
    "te": "Tensor expressions: what each element of a tensor is.",
    "sched": "Schedules: in which order a kernel runs, and where.",
    "loop": "Loops over buffers, then tiles of registers: how a kernel runs.",
}


LIT = Path(__file__).parents[2] / "tests" / "lit"
NNC_COMMANDS = ("run", "inspect", "compile", "bench", "bisect", "ops")


def write_reference(folder: Path) -> list[Path]:
    """Write every page of the reference; those that have not changed are left alone."""
    folder.mkdir(exist_ok=True)
    pages = {f"ops-{name}": _dialect(name, load()) for name, load in DIALECTS.items()}
    pages["passes"] = _passes()
    pages["machines"] = _machines()
    pages["tools"] = _tools()
    pages["index"] = _index(sorted(pages))
    written: list[Path] = []
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        written.append(path)
    return written


def _index(names: Iterable[str]) -> str:
    listed = "\n".join(names)
    return f"# Reference\n\nMade from the docstrings.\n\n```{{toctree}}\n{listed}\n```\n"


def _doc(thing: object) -> str:
    """A docstring as Markdown: indented examples are our text form."""
    lines: list[str] = []
    inside = False
    for line in (inspect.getdoc(thing) or "").split("\n"):
        indented = line.startswith("    ")
        if indented and not inside and (not lines or not lines[-1]):
            lines.append("```nn")
            inside = True
        elif inside and line and not line.startswith(" "):
            while lines and not lines[-1]:
                lines.pop()
            lines += ["```", ""]
            inside = False
        lines.append(line.removeprefix("    ") if inside else line)
    if inside:
        lines.append("```")
    return "\n".join(lines)


def _dialect(name: str, dialect: Dialect) -> str:
    parts = [f"# The `{name}` dialect\n\n{ABOUT[name]}\n"]
    ops = sorted(dialect.operations, key=lambda op: op.name)
    parts += [_op(op) for op in ops if not issubclass(op, ElementwiseOp)]
    if alike := [op for op in ops if issubclass(op, ElementwiseOp)]:
        names = ", ".join(f"`{op.name}`" for op in alike)
        parts.append(f"## Element by element\n\n{_doc(ElementwiseOp)}\n\n{names}\n")
    types = sorted(dialect.attributes, key=lambda attribute: attribute.name)
    if types:
        parts.append("## Types and attributes\n")
        parts += [_attribute(attribute) for attribute in types]
    return "\n".join(parts)


def _op(op: type[Operation]) -> str:
    assert issubclass(op, IRDLOperation)
    definition = op.get_irdl_definition()
    rows = [
        ("operands", definition.operands),
        ("properties", definition.properties.items()),
        ("attributes", definition.attributes.items()),
        ("regions", definition.regions),
        ("results", definition.results),
    ]
    lines = [f"- {kind}: {', '.join(names)}" for kind, defs in rows if (names := _names(defs))]
    return f"## `{op.name}`\n\n{_doc(op)}\n\n" + "\n".join(lines) + "\n"


def _names(definitions: Iterable[tuple[str, object]]) -> list[str]:
    return [f"`{name}`{_number(definition)}" for name, definition in definitions]


def _number(definition: object) -> str:
    if isinstance(definition, OPTIONAL):
        return " (optional)"
    return " (any number)" if isinstance(definition, SEVERAL) else ""


def _attribute(attribute: type[Attribute]) -> str:
    return f"### `{attribute.name}`\n\n{_doc(attribute)}\n"


def _passes() -> str:
    kinds: Mapping[str, Catalog] = {
        "Passes within a level": PASSES,
        "Passes to the next level": CONVERSIONS,
        "Schedules": SCHEDULE_PASSES,
    }
    about = "`nn-opt -p NAME` runs one; [nn-opt](../nn-opt.md) says how to combine them."
    parts = [f"# Passes\n\n{about}\n"]
    for title, catalog in kinds.items():
        parts.append(f"## {title}\n")
        for name, load in sorted(catalog.items()):
            class_ = load()
            given = [f"- `{option}`" for option in options(class_)]
            module = inspect.getmodule(class_)
            parts.append(f"### `{name}`\n\n{_doc(class_)}\n")
            parts.append("Options:\n\n" + "\n".join(given) + "\n" if given else "")
            parts.append(_doc(module) + "\n" if module is not None else "")
            parts.append(_tested(name))
    return "\n".join(parts)


def _tested(name: str) -> str:
    """The first case of a pass's lit test: what goes in, and what is checked of what comes out."""
    found = sorted(LIT.glob(f"*/{name}.nn"))
    if not found:
        return ""
    case = found[0].read_text().split("\n// -----\n")[0].split("\n}\n")[0]
    place = found[0].relative_to(LIT.parents[1])
    return f"From its test, `{place}`:\n\n```nn\n{case}\n}}\n```\n"


def _machines() -> str:
    about = "What `--target` and `nnc.compile(target=...)` take besides `cpu`, this machine."
    parts = [f"# Machines\n\n{about}\n"]
    for name, target in sorted(TARGETS.items()):
        rows = [f"| {f.name} | `{getattr(target, f.name)}` |" for f in fields(target)]
        parts.append(f"## `{name}`\n\n| field | value |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _tools() -> str:
    parts = ["# Tools\n"]
    commands = [[], *([name] for name in NNC_COMMANDS)]
    for name, main, arguments in (
        ("nn-opt", nn_opt.main, []),
        ("nn-reduce", nn_reduce.main, []),
        *(("nnc", nnc.main, given) for given in commands),
    ):
        shown = call(main, [*arguments, "--help"]).out.decode().rstrip()
        parts.append(f"## `{' '.join([name, *arguments])}`\n\n```text\n{shown}\n```\n")
    return "\n".join(parts)
