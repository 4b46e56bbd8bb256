"""What the entry point `xdsl.universe` publishes, so that `xdsl-opt` knows our dialects and passes.

In nn-opt some of our passes and targets stand behind names that xDSL has too (its own drop
locations). Those are left out here: xDSL refuses a name that two packages define.
"""

from __future__ import annotations

from xdsl.targets import get_all_targets
from xdsl.transforms import get_all_passes
from xdsl.universe import Universe

from ..core.catalog import Catalog
from ..dialects import DIALECTS
from ..lowering import CONVERSIONS, TARGETS
from ..passes import PASSES
from ..schedules import PASSES as SCHEDULE_PASSES


def _published(ours: Catalog, taken: Catalog) -> Catalog:
    return {name: load for name, load in ours.items() if name not in taken}


NNC_UNIVERSE = Universe(
    all_dialects=dict(DIALECTS),
    all_passes=_published({**PASSES, **CONVERSIONS, **SCHEDULE_PASSES}, get_all_passes()),
    all_targets=_published(TARGETS, get_all_targets()),
)
