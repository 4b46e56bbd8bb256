"""What nn-opt can tell of itself: passes, dialects, targets, versions."""

from __future__ import annotations

import inspect
from dataclasses import fields

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.utils.hints import type_repr

from ...core.passes import anchors_of
from .flags import Flags
from .registry import Registry


def wanted(flags: Flags) -> bool:
    """Whether a flag asks for a list instead of a run."""
    return flags.list_passes or flags.show_dialects or flags.list_targets


def print_lists(flags: Flags, registry: Registry) -> None:
    """Print the lists that the flags ask for, on stdout."""
    if flags.list_passes:
        print(list_passes(registry))
    if flags.show_dialects:
        print("Available dialects: " + ",".join(sorted(registry.dialects)))
    if flags.list_targets:
        print("Available targets: " + ",".join(sorted({"nn", "mlir", *registry.targets})))


def print_versions() -> None:
    """Versions of nnc and of what it stands on."""
    from importlib.metadata import version

    for name in ("nnc-compiler", "xdsl", "llvmlite"):
        print(name, version(name))


def list_passes(registry: Registry) -> str:
    """Our passes with their options, then the names of xDSL's (loading those takes seconds)."""
    lines = ["Passes:"]
    for name in sorted(registry.ours):
        class_ = registry.find_pass(name)
        lines.append(f"  {name:<24} {summary(class_)}")
        kinds = anchors_of(class_)
        if kinds[0] not in (ModuleOp, Operation):
            lines.append(f"    on each {' or '.join(kind.name for kind in kinds)}")
        elif len(kinds) > 1:
            lines.append(f"    also inside {' or '.join(kind.name for kind in kinds[1:])}(...)")
        lines += [f"    {{{option}}}" for option in options(class_)]
    lines += ["", "xDSL's passes:"]
    lines += [f"  {name}" for name in sorted(registry.passes.keys() - registry.ours)]
    return "\n".join(lines)


def summary(class_: type[ModulePass]) -> str:
    """The first line of a pass's docstring."""
    return (inspect.getdoc(class_) or "").partition("\n")[0]


def options(class_: type[ModulePass]) -> list[str]:
    """`name: type` of each option, with its default."""
    found: list[str] = []
    for field in fields(class_):
        if field.name == "name" or not field.init:
            continue
        default = getattr(class_, field.name, None)
        shown = "" if default is None else f" = {str(default).lower()}"
        # Under `from __future__ import annotations` a type is a string already.
        type_ = field.type if isinstance(field.type, str) else type_repr(field.type)
        found.append(f"{field.name.replace('_', '-')}: {type_}{shown}")
    return found
