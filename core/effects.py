"""What ops do to memory, and which ops can go because nobody would notice.

Answers are cached by op class where the class alone decides; regions are walked without recursion.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

from xdsl.ir import Operation
from xdsl.traits import (
    IsTerminator,
    MemoryEffect,
    MemoryEffectKind,
    NoMemoryEffect,
    RecursiveMemoryEffect,
    SymbolOpInterface,
)

from .walk import children


class Effect(Enum):
    """How much an op touches memory."""

    NONE = 0
    READ = 1
    UNKNOWN = 2
    """Writes, allocates, frees, or does not say."""


@cache
def _is_recursive(op_type: type[Operation]) -> bool:
    return any(isinstance(trait, RecursiveMemoryEffect) for trait in op_type.traits)


@cache
def _class_effect(op_type: type[Operation]) -> Effect | None:
    """What every op of this class does; `None` if each must be asked."""
    traits = [trait for trait in op_type.traits if isinstance(trait, MemoryEffect)]
    if not traits:
        return Effect.UNKNOWN
    return Effect.NONE if all(isinstance(t, NoMemoryEffect) for t in traits) else None


def _own_effect(op: Operation) -> Effect:
    kinds: set[MemoryEffectKind] = set()
    for trait in op.get_traits_of_type(MemoryEffect):
        effects = trait.get_effects(op)
        if effects is None:
            return Effect.UNKNOWN
        kinds.update(effect.kind for effect in effects)
    if not kinds:
        return Effect.NONE
    return Effect.READ if kinds == {MemoryEffectKind.READ} else Effect.UNKNOWN


def effect(op: Operation) -> Effect:
    """What `op`, with the ops inside it, does to memory."""
    worst = Effect.NONE
    stack = [op]
    while stack:
        current = stack.pop()
        if _is_recursive(type(current)):
            stack.extend(children(current))
            continue
        own = _class_effect(type(current)) or _own_effect(current)
        if own is Effect.UNKNOWN:
            return own
        worst = max(worst, own, key=lambda item: item.value)
    return worst


@cache
def _may_go(op_type: type[Operation]) -> bool:
    return not any(isinstance(trait, IsTerminator | SymbolOpInterface) for trait in op_type.traits)


def is_dead(op: Operation) -> bool:
    """Whether `op` has no effect and none of its results is used."""
    return (
        op.parent is not None
        and _may_go(type(op))
        and all(result.first_use is None for result in op.results)
        and effect(op) is not Effect.UNKNOWN
    )
