"""Whether the passes of a pipeline may run where its text puts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.traits import IsolatedFromAbove

from ...core.errors import PassError, did_you_mean
from ...core.passes import anchors_of, runs_on
from .pipeline import MODULE, Spec, Step
from .registry import Registry

ANCHORS = ("func.func", "graph.kernel", "te.kernel", "loop.kernel", MODULE)
"""What passes run on most."""


def fit(pairs: Sequence[tuple[Spec, Step]], registry: Registry) -> list[Step]:
    """The steps, those without written anchors on the ops that their passes declare.

    Raises: PassError: an anchor is no isolated op, or passes stand where they cannot run; all of
        them are named.
    """
    for anchor in dict.fromkeys(name for spec, _ in pairs for name in spec.anchors):
        _check_anchor(anchor, registry)
    placed = [_placed(spec, step) for spec, step in pairs]
    wrong = [step for step in placed if not _fits(step)]
    if wrong:
        raise PassError(
            "; ".join(map(_complaint, wrong)),
            hint=f"as in {', '.join(dict.fromkeys(map(_example, wrong)))}",
        )
    return placed


def _check_anchor(name: str, registry: Registry) -> None:
    if name == MODULE:
        return
    if name in registry.passes:
        raise PassError(f"pass pipeline: '{name}' is a pass, passes stand inside ops")
    op = registry.context().get_optional_op(name)
    if op is None:
        hint = did_you_mean(name, ANCHORS)
        raise PassError(f"pass pipeline: '{name}' is no known op", hint=hint)
    if not op.has_trait(IsolatedFromAbove):
        raise PassError(
            f"pass pipeline: no pass runs on '{name}' alone, it uses values from outside",
            hint="isolated ops are anchors: func.func, graph.kernel, te.kernel, loop.kernel, ...",
        )


def _placed(spec: Spec, step: Step) -> Step:
    declared = runs_on(type(step.pass_))
    if spec.is_nested or declared in (Operation, ModuleOp):
        return step
    return replace(step, anchors=(declared.name,))


def _fits(step: Step) -> bool:
    declared = anchors_of(type(step.pass_))
    return Operation in declared or _innermost(step) in {each.name for each in declared}


def _innermost(step: Step) -> str:
    return step.anchors[-1] if step.anchors else MODULE


def _complaint(step: Step) -> str:
    declared = " or ".join(each.name for each in anchors_of(type(step.pass_)))
    return f"pass '{step.flag}' runs on {declared}, not on {_innermost(step)}"


def _example(step: Step) -> str:
    declared = runs_on(type(step.pass_))
    return f"{declared.name}({step.flag})"
