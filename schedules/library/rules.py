"""Classes of kernels that users add to the library: a rule each, asked before the library's own.

def outer_product(site: Site) -> Collection[str]:
    '''y[i, j] = a[i] * b[j]: registers along j, a row at a time.'''
    if site.compute.reduce or len(site.compute.parallel) != 2:
        return ()
    i, j = (site.compute.loop(axis) for axis in site.compute.parallel)
    site.schedule.vectorize(site.schedule.split(j, site.target.lanes)[1])
    return (site.compute.symbol,)

nnc.register_schedule("outer-product", outer_product)
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import cast

from ...core import extensions
from ...core.errors import ScheduleError
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, Kernel

KIND = "schedule"
CLASSES = (
    "blocked-convolution",
    "contraction",
    "elementwise",
    "reduction",
    "relayout",
    "rows",
    "tiled-convolution",
)
"""The library's own classes."""


@dataclass(frozen=True)
class Site:
    """A compute that is to be scheduled.

    Attributes:
        schedule: edits the kernel; a method for each primitive.
        kernel: all its computes, and who reads what.
        compute: the one at hand, in the loops of the canonical nest.
        target: the machine.
        numerics: "strict" keeps the order of every float sum.
    """

    schedule: Schedule
    kernel: Kernel
    compute: Compute
    target: Target
    numerics: str


Rule = Callable[[Site], Collection[str]]
"""The symbols of the computes that it has scheduled; none if this is not of its class."""


def has_rules() -> bool:
    """Whether users have added a class."""
    return bool(extensions.table(KIND))


def try_users_rules(site: Site) -> Collection[str]:
    """What the first rule that knows the compute has scheduled.

    Raises: ScheduleError: a primitive was refused, or a rule has begun and then declined.
    """
    for name, entry in extensions.table(KIND).items():
        rule: Rule = entry.value
        before = site.schedule.length
        try:
            done = rule(site)
        except ScheduleError as error:
            text = f"schedule '{name}' of {entry.owner}: {error.message}"
            raise ScheduleError(text, where=error.where, hint=error.hint) from error
        if done:
            return _checked(done, site, name, entry)
        if site.schedule.length != before:
            raise ScheduleError(
                f"schedule '{name}' of {entry.owner} declined a compute that it had changed",
                where=entry.place,
                hint="return the symbols of what it has scheduled",
            )
    return ()


def _checked(
    done: object, site: Site, name: str, entry: extensions.Registration
) -> Collection[str]:
    """What a rule says that it has scheduled.

    Raises: ScheduleError: it is no collection of symbols of computes.
    """
    known = [compute.symbol for compute in site.kernel.computes]
    text = repr(done)
    is_list = isinstance(done, Collection) and not isinstance(done, str)
    given = cast("Collection[object]", done) if is_list else ()
    if not given or not all(symbol in known for symbol in given):
        shown = [_spelt(each) for each in given] if given else text
        raise ScheduleError(
            f"schedule '{name}' of {entry.owner} gives {shown}, expected symbols of computes",
            where=entry.place,
            hint=f"return (compute.symbol,): here are {', '.join(known)}",
        )
    return cast("Collection[str]", given)


def _spelt(given: object) -> str:
    return given if isinstance(given, str) else f"a {type(given).__name__}"
