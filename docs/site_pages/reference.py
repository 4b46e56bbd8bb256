"""Reference pages made from docstrings and lit tests: ops, passes, primitives, machines, tools.

They are written to `docs/reference/` when the site is built, and never kept.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

from xdsl.dialects.builtin import StringAttr
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
from xdsl.passes import ModulePass

from nnc.core.catalog import Catalog
from nnc.core.testing import call
from nnc.dialects import DIALECTS
from nnc.dialects.graph.base import GraphOp
from nnc.dialects.loop.elementwise import ElementwiseOp
from nnc.lowering import CONVERSIONS
from nnc.passes import PASSES
from nnc.schedules import PASSES as SCHEDULE_PASSES
from nnc.schedules.primitives.table import PRIMITIVES
from nnc.targets import TARGETS
from nnc.tools import nn_opt, nn_reduce, nnc
from nnc.tools.opt.listing import options

from .examples import Example, of_pass, of_primitive

OPTIONAL = (OptOperandDef, OptPropertyDef, OptResultDef, OptRegionDef)
SEVERAL = (VarOperandDef, VarResultDef, VarRegionDef)
ABOUT = {
    "graph": "Operators on tensors: what a network computes.",
    "te": "Tensor expressions: what each element of a tensor is.",
    "sched": "Schedules: in which order a kernel runs, and where.",
    "loop": "Loops over buffers, then tiles of registers: how a kernel runs.",
}

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
    return (
        "# Reference\n\nMade from docstrings and tests when the site is built. Each pass and each "
        "primitive has a module before and after it, taken from its test and run.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n{listed}\n```\n"
    )


def _doc(text: str) -> str:
    """A docstring as Markdown: indented examples are our text form, with arrows between them."""
    lines: list[str] = []
    inside = False
    for line in text.split("\n"):
        is_code = line.startswith("    ") if line else inside
        if is_code != inside:
            while inside and lines and not lines[-1]:
                lines.pop()
            lines += ["```", ""] if inside else ["", "```nn"]
            inside = is_code
        lines.append(line.removeprefix("    ") if inside else line)
    return "\n".join([*lines, "```"] if inside else lines)


def _prose(text: str) -> str:
    """A docstring without its sketches of IR: on these pages examples are what was run."""
    kept = [line for line in text.split("\n") if not line.startswith("    ")]
    kept = [line for line in kept if line.strip() not in ("->", "becomes")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _docstring(thing: object) -> str:
    return inspect.getdoc(thing) or ""


def _dialect(name: str, dialect: Dialect) -> str:
    parts = [f"# The `{name}` dialect\n\n{ABOUT[name]}\n"]
    ops = sorted(dialect.operations, key=lambda op: op.name)
    parts += [_op(op) for op in ops if not issubclass(op, ElementwiseOp)]
    if alike := [op for op in ops if issubclass(op, ElementwiseOp)]:
        names = ", ".join(f"`{op.name}`" for op in alike)
        parts.append(f"## Element by element\n\n{_doc(_docstring(ElementwiseOp))}\n\n{names}\n")
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
    if issubclass(op, GraphOp) and op.ONNX_NAME:
        lines.append(f"- in ONNX: `{op.ONNX_NAME}`")
    if op in PRIMITIVES:
        mnemonic = op.name.partition(".")[2]
        lines.append(f"\n[Schedules]({_section(mnemonic)}) says when it is refused.\n")
        lines.append(_shown(of_primitive(mnemonic), f"`{mnemonic}` and what it makes of a nest"))
    return f"## `{op.name}`\n\n{_doc(_docstring(op))}\n\n" + "\n".join(lines) + "\n"


def _section(mnemonic: str) -> str:
    """Where the page on schedules has a primitive."""
    page = Path(__file__).parents[1] / "schedules.md"
    for heading in re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE):
        if mnemonic in heading.split(", "):
            return f"../schedules.md#{heading.replace(',', '').replace(' ', '-')}"
    return "../schedules.md"


def _names(definitions: Iterable[tuple[str, object]]) -> list[str]:
    shown = [(name, one) for name, one in definitions if not name.endswith("SegmentSizes")]
    return [f"`{name}`{_number(definition)}" for name, definition in shown]


def _number(definition: object) -> str:
    if isinstance(definition, OptPropertyDef) and definition.default_value is not None:
        default = definition.default_value
        return f" = `{default.data if isinstance(default, StringAttr) else default}`"
    if isinstance(definition, OPTIONAL):
        return " (optional)"
    return " (any number)" if isinstance(definition, SEVERAL) else ""


def _attribute(attribute: type[Attribute]) -> str:
    return f"### `{attribute.name}`\n\n{_doc(_docstring(attribute))}\n"


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
            parts.append(_pass(name, load()))
    return "\n".join(parts)


def _pass(name: str, class_: type[ModulePass]) -> str:
    """What a pass does, its options, and a module before and after it."""
    first = _docstring(class_).partition("\n")[0]
    # The first sentence of the module says it again.
    rest = _prose(_docstring(inspect.getmodule(class_)).partition("\n")[2])
    given = [f"- `{option}`" for option in options(class_)]
    parts = [f"### `{name}`", first, rest]
    parts += ["Options:\n\n" + "\n".join(given) if given else ""]
    parts += [_shown(of_pass(name), f"`-p {name}`")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _shown(example: Example | None, what: str) -> str:
    """An example with its sentence, and where it is tested."""
    if example is None:
        return f"No example of {what}."
    return (
        f"{example.says or 'An example.'}\n\n```nn\n{example.before.strip()}\n```\n\n"
        f"After `-p '{example.command}'`:\n\n```nn\n{example.after.strip()}\n```\n\n"
        f"Tested in `{example.test}`.\n"
    )


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
