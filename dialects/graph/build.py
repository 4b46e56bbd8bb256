"""Groups flat operands and results the way an op's definition wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from xdsl.irdl import (
    OpDef,
    OperandDef,
    OptionalDef,
    OptOperandDef,
    OptResultDef,
    ResultDef,
    VariadicDef,
    VarOperandDef,
    VarResultDef,
)

from ...core.errors import ModelError

T = TypeVar("T")

_Definition = OperandDef | VarOperandDef | OptOperandDef | ResultDef | VarResultDef | OptResultDef


def group_operands(definition: OpDef, operands: Sequence[T | None]) -> list[T | list[T] | None]:
    """One entry for each operand of the definition: a value, `None` if absent, or a list.

    Raises: ModelError: a required operand is missing, or there are too many.
    """
    return _group(definition.name, "operands", definition.operands, operands)


def group_results(definition: OpDef, results: int | None, type_: T) -> list[T | list[T] | None]:
    """`type_` for each of the first `results` results, `None` or an empty list beyond.

    By default those that are not optional.
    Raises: ModelError: there are not so many.
    """
    required = sum(not isinstance(item, VariadicDef) for _, item in definition.results)
    types = [type_] * (required if results is None else results)
    return _group(definition.name, "results", definition.results, types)


def _group(
    op_name: str, what: str, items: Sequence[tuple[str, _Definition]], flat: Sequence[T | None]
) -> list[T | list[T] | None]:
    rest = list(flat)
    grouped: list[T | list[T] | None] = []
    for name, item in items:
        if isinstance(item, VariadicDef) and not isinstance(item, OptionalDef):
            grouped.append([entry for entry in rest if entry is not None])
            rest = []
            continue
        entry = rest.pop(0) if rest else None
        if entry is None and not isinstance(item, OptionalDef):
            raise ModelError(f"{op_name} lacks '{name}' among its {what}")
        grouped.append(entry)
    if rest:
        raise ModelError(f"{op_name} takes {len(items)} {what}, got {len(flat)}")
    return grouped
