"""What nn-opt knows by name: dialects, passes and targets of xDSL, of ours, and of plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from xdsl.context import Context
from xdsl.passes import ModulePass
from xdsl.targets import get_all_targets
from xdsl.transforms import get_all_passes
from xdsl.utils.target import Target

from ...core.catalog import Catalog, constant, merge
from ...core.errors import PassError, did_you_mean
from ...core.extensions import Plugin, plugins, table
from ...core.extensions.universes import universes
from ...core.passes import fault
from ...dialects import catalog
from ...lowering import CONVERSIONS, TARGETS
from ...passes import PASSES
from ...schedules import PASSES as SCHEDULE_PASSES

OURS_INSTEAD = frozenset({"apply-pdl", "canonicalize", "cse", "dce"})
"""xDSL's passes of these names drop locations: ours stand in their place."""
TARGETS_INSTEAD = frozenset({"llvm", "mlir"})
"""xDSL's llvm target drops what kernels need; `mlir` is our own generic form."""

XDSL, NNC = "xDSL", "nnc"


@dataclass
class Registry:
    """Everything that a name on the command line or in a text can stand for."""

    dialects: Catalog
    passes: Catalog
    targets: Catalog
    ours: frozenset[str]
    """Names of passes that are not xDSL's own."""

    def context(self, *, allow_unregistered: bool = False) -> Context:
        """A fresh context; a dialect is imported when its first op is met."""
        context = Context(allow_unregistered=allow_unregistered)
        for name, load in self.dialects.items():
            context.register_dialect(name, load)
        return context

    def find_pass(self, name: str) -> type[ModulePass]:
        """The class behind a pass's flag.

        Raises: PassError: there is none, with the nearest name.
        """
        return self.passes[name]() if name in self.passes else _unknown("pass", name, self.passes)

    def find_target(self, name: str) -> type[Target]:
        """The class behind a name that `-t` takes.

        Raises: PassError: there is none, with the nearest name.
        """
        known = {**self.targets, "nn": None, "mlir": None}
        return self.targets[name]() if name in self.targets else _unknown("target", name, known)


_WHERE = {
    "pass": "nn-opt --list-passes names them all; --load-plugin FILE.py adds those of a file",
    "target": "nn-opt --list-targets names them all",
}


def _unknown(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    hint = did_you_mean(name, known) or _WHERE[kind]
    raise PassError(f"unknown {kind} '{name}'", hint=hint)


def load() -> Registry:
    """Join all owners' catalogues.

    Raises: NncError: two owners define the same name, and both are named; or a plug-in that cannot
        be loaded.
    """
    ours = {**PASSES, **CONVERSIONS, **SCHEDULE_PASSES}
    theirs = _without(get_all_passes(), OURS_INSTEAD & ours.keys())
    targets = _without(get_all_targets(), TARGETS_INSTEAD)
    loaded = plugins()
    others = universes()
    placed = table("pass")
    passes = merge(
        "pass",
        [
            (XDSL, theirs),
            (NNC, ours),
            *((owner, universe.all_passes) for owner, universe in others),
            *((plugin.owner, _named(_passes(plugin))) for plugin in loaded),
            *((one.owner, {name: constant(one.value.cls)}) for name, one in placed.items()),
        ],
        shared=True,
    )
    emitters = merge(
        "target",
        [
            (XDSL, targets),
            (NNC, TARGETS),
            *((owner, universe.all_targets) for owner, universe in others),
            *((plugin.owner, _named(plugin.classes("TARGETS", Target))) for plugin in loaded),
        ],
        shared=True,
    )
    return Registry(catalog(), passes, emitters, frozenset(passes) - theirs.keys())


def _passes(plugin: Plugin) -> list[type[ModulePass]]:
    """The passes of a plug-in.

    Raises: NncError: one of them cannot be run, with its line.
    """
    classes = plugin.classes("PASSES", ModulePass)
    for cls in classes:
        if reason := fault(cls):
            plugin.refuse(cls, reason)
    return classes


def _named(classes: Iterable[Any]) -> Catalog:
    return {one.name: constant(one) for one in classes}


def _without(catalog: Mapping[str, Callable[[], Any]], names: Iterable[str]) -> Catalog:
    left_out = frozenset(names)
    return {name: load for name, load in catalog.items() if name not in left_out}
