"""The dialects of nnc: graph, te, sched, loop. See docs/layout.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.catalog import Catalog, constant, lazy, merge

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.ir import Dialect

    from ..core.extensions import Plugin

DIALECTS = lazy(
    __name__,
    {
        "graph": "graph.registry:Graph",
        "loop": "loop:Loop",
        "sched": "sched:Sched",
        "te": "te:Te",
    },
)


def catalog() -> Catalog:
    """XDSL's dialects, ours, and those of installed packages and plug-ins.

    Raises: NncError: two owners of one name, or a plug-in that cannot be loaded.
    """
    from xdsl.dialects import get_all_dialects

    from ..core.extensions import plugins
    from ..core.extensions.universes import universes

    loaded = plugins()  # before what their packages publish for xDSL, which may import them
    return merge(
        "dialect",
        [
            ("xDSL", get_all_dialects()),
            ("nnc", DIALECTS),
            *((owner, universe.all_dialects) for owner, universe in universes()),
            *((plugin.owner, _dialects(plugin)) for plugin in loaded),
        ],
        shared=True,
    )


def _dialects(plugin: Plugin) -> Catalog:
    from xdsl.ir import Dialect

    dialects = plugin.members("DIALECTS", Dialect)
    for dialect in dialects:
        _check_ops(plugin, dialect)
    return {one.name: constant(one) for one in dialects}


def _check_ops(plugin: Plugin, dialect: Dialect) -> None:
    """Raises: NncError: an op of a plug-in's dialect cannot be used."""
    from ..core.irtypes import is_defined

    for op in dialect.operations:
        name: object = getattr(op, "name", None)
        if not is_defined(op):
            plugin.refuse(op, "it is no op yet: @irdl_op_definition stands above its class")
        if not isinstance(name, str) or not name.startswith(f"{dialect.name}."):
            plugin.refuse(op, f"it is in dialect '{dialect.name}', but its name is {name!r}")


def context(*, allow_unregistered: bool = False) -> Context:
    """A context that knows all dialects; each is imported when its first op is met."""
    from xdsl.context import Context

    made = Context(allow_unregistered=allow_unregistered)
    for name, load in catalog().items():
        made.register_dialect(name, load)
    return made
