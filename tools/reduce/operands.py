"""Operands become fewer: optional ones and those of a list go, arguments of one type are one."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from xdsl.dialects.builtin import DenseArrayBase, ModuleOp, i32
from xdsl.irdl import OptOperandDef, VarOperandDef

from ...core.walk import walk
from ...dialects.graph import base as graph
from .extents import infer_again
from .functions import holders, tidy

SEGMENTS = "operandSegmentSizes"


class DropOperands:
    """Graph operators read less: no bias, fewer pieces."""

    name = "operands"

    def sites(self, module: ModuleOp) -> Sequence[tuple[int, int]]:
        return [
            (at, place)
            for at, op in enumerate(walk(module))
            if isinstance(op, graph.GraphOp)
            for place in _droppable(op)
        ]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        wanted = set(sites)
        for at, op in enumerate(list(walk(module))):
            dropped = {place for place in range(len(op.operands)) if (at, place) in wanted}
            if dropped:
                assert isinstance(op, graph.GraphOp)
                _drop(op, dropped)
        infer_again(module)
        tidy(module)


def _groups(op: graph.GraphOp) -> Iterator[tuple[object, range]]:
    """How each operand is defined, and where its values stand."""
    start = 0
    for name, definition in op.get_irdl_definition().operands:
        held = getattr(op, name)
        is_list = isinstance(definition, VarOperandDef) and not _is_optional(definition)
        count = len(held) if is_list else int(held is not None)
        yield definition, range(start, start + count)
        start += count


def _is_optional(definition: object) -> bool:
    return isinstance(definition, OptOperandDef)


def _droppable(op: graph.GraphOp) -> Iterator[int]:
    for definition, places in _groups(op):
        is_list = isinstance(definition, VarOperandDef) and len(places) > 1
        if _is_optional(definition) or is_list:
            yield from places


def _drop(op: graph.GraphOp, dropped: set[int]) -> None:
    """Let it read only the others; the verifier refuses lists that are too short."""
    sizes = [len([at for at in places if at not in dropped]) for _, places in _groups(op)]
    op.operands = [value for at, value in enumerate(op.operands) if at not in dropped]
    if SEGMENTS in op.properties:
        op.properties[SEGMENTS] = DenseArrayBase.from_list(i32, sizes)


class MergeArguments:
    """An argument stands for another one of its type."""

    name = "arguments"

    def sites(self, module: ModuleOp) -> Sequence[tuple[int, int]]:
        return [
            (number, argument.index)
            for number, holder in enumerate(holders(module))
            for argument in holder.body.block.args
            if argument.type in [each.type for each in holder.body.block.args[: argument.index]]
        ]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        wanted = set(sites)
        for number, holder in enumerate(holders(module)):
            arguments = holder.body.block.args
            for argument in arguments:
                if (number, argument.index) in wanted:
                    first = next(each for each in arguments if each.type == argument.type)
                    argument.replace_all_uses_with(first)
        tidy(module)
