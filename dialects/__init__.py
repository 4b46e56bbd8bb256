"""The dialects of nnc: graph, te, sched, loop. See docs/layout.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.catalog import lazy

if TYPE_CHECKING:
    from xdsl.context import Context

DIALECTS = lazy(
    __name__,
    {
        "graph": "graph.registry:Graph",
        "loop": "loop:Loop",
        "sched": "sched:Sched",
        "te": "te:Te",
    },
)


def context(*, allow_unregistered: bool = False) -> Context:
    """A context that knows xDSL's dialects and ours; each is imported when its first op is met."""
    from xdsl.context import Context
    from xdsl.dialects import get_all_dialects

    made = Context(allow_unregistered=allow_unregistered)
    for name, load in {**get_all_dialects(), **DIALECTS}.items():
        made.register_dialect(name, load)
    return made
