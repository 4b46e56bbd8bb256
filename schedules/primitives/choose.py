"""choose: a hole in a schedule, with its candidates and a default.

    sched.schedule @k attributes {answers = {rows = 16}} {
      choose rows, [4, 8, 16], 8
      split y.i, $rows                 ->        split y.i, 16
    }

It edits nothing: later primitives name it, as `$rows`, where a number, a word or a layout stands.
A search fills such holes and no others; what it logs is the list of their answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, StringAttr
from xdsl.ir import Attribute, Operation
from xdsl.utils.exceptions import VerifyException

from ...core.errors import ScheduleError
from ...core.locations import describe
from ...dialects.loop import KernelOp
from ...dialects.sched import ChooseOp, PrimitiveOp, ScheduleOp, is_hole
from .lookup import suggestion

Answers = dict[str, Attribute]


def choose(kernel: KernelOp, label: str, candidates: list[Any], default: Any) -> str:
    """Declare a choice; `$label` is how later primitives name its answer.

    Source: MetaSchedule `sample_categorical`, AutoTVM `define_knob`.
    """
    del kernel, candidates, default
    return f"${label}"


def answer(op: ChooseOp, given: Mapping[str, Attribute]) -> Attribute:
    """What a choice is: the answer that is given, or its default.

    Raises: ScheduleError: the answer is not among the candidates.
    """
    name = op.label.data
    found = given.get(name, op.default)
    if found not in op.candidates.data:
        listed = ", ".join(plain_text(candidate) for candidate in op.candidates)
        raise ScheduleError(f"choose: '{name}' is {plain_text(found)}, expected one of {listed}")
    return found


def fill(op: Operation, answers: Mapping[str, Attribute]) -> Operation:
    """A primitive with the answers in the place of the choices that it names.

    Raises: ScheduleError: an unknown choice, or an answer that does not fit.
    """
    made = op.clone()
    made.location = op.location
    for name, value in op.properties.items():
        if isinstance(value, ArrayAttr):
            items = [_filled(item, answers) for item in cast("ArrayAttr[Attribute]", value)]
            made.properties[name] = ArrayAttr(items)
        else:
            made.properties[name] = _filled(value, answers)
    assert isinstance(made, PrimitiveOp)
    word = made.name.partition(".")[2]
    for name in made.NUMBERS:
        if not isinstance(made.properties[name], IntegerAttr):
            text = plain_text(made.properties[name])
            raise ScheduleError(f"{word}: '{name}' is a number, got {text}")
    try:
        made.get_irdl_definition().verify(made)
        made.verify_()
    except VerifyException as error:
        raise ScheduleError(f"{word}: {error}") from None
    return made


def _filled(value: Attribute, answers: Mapping[str, Attribute]) -> Attribute:
    if not isinstance(value, StringAttr) or not is_hole(value):
        return value
    name = value.data[1:]
    if name not in answers:
        raise ScheduleError(f"no choice '{name}'", hint=suggestion(name, answers))
    return answers[name]


def filled(schedule: ScheduleOp) -> Iterator[tuple[Operation, Operation]]:
    """Each primitive of a schedule, and what it is with the schedule's answers; choices left out.

    Raises: ScheduleError: an answer to no choice, or one that does not fit.
    """
    given: Mapping[str, Attribute] = schedule.answers.data if schedule.answers else {}
    labels = [op.label.data for op in schedule.body.block.ops if isinstance(op, ChooseOp)]
    for name in given:
        if name not in labels:
            raise ScheduleError(
                f"an answer to '{name}', which is no choice",
                where=describe(schedule),
                hint=suggestion(name, labels),
            )
    answers: Answers = {}
    for op in schedule.body.block.ops:
        try:
            if isinstance(op, ChooseOp):
                answers[op.label.data] = answer(op, given)
                continue
            made = fill(op, answers)
        except ScheduleError as error:
            error.where = describe(op)
            raise
        yield op, made


def plain_text(value: Attribute) -> str:
    """A candidate, as a message says it."""
    if isinstance(value, StringAttr):
        return f"'{value.data}'"
    if isinstance(value, IntegerAttr):
        return str(cast("IntegerAttr[Any]", value).value.data)
    return str(value)
