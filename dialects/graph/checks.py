"""What operands may be: element types, ranks and axes, with messages for a user."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerType, Signedness
from xdsl.ir import Attribute, SSAValue

from ...core.dtypes import element_type
from ...core.errors import ModelError
from .types import TensorInfo, info, show

FLOATS = frozenset(map(element_type, ("float16", "bfloat16", "float32", "float64")))
SIGNED = frozenset(IntegerType(bits) for bits in (8, 16, 32, 64))
UNSIGNED = frozenset(IntegerType(bits, Signedness.UNSIGNED) for bits in (8, 16, 32, 64))
INTS = SIGNED | UNSIGNED
BOOL = IntegerType(1)
BOOLS = frozenset((BOOL,))
INDICES = frozenset((IntegerType(32), IntegerType(64)))
SIZES = INDICES | frozenset(IntegerType(bits, Signedness.UNSIGNED) for bits in (32, 64))
"""Integers wide enough for any size that is met in practice."""
I64 = IntegerType(64)
NUMBERS = FLOATS | INTS
ALL = NUMBERS | BOOLS


def expect(name: str, value: SSAValue, accepted: frozenset[Attribute] = ALL) -> TensorInfo:
    """What is known of an operand, whose element type, if known, is one of `accepted`.

    Raises: ModelError: it is another.
    """
    found = info(value)
    if found.element is not None and found.element not in accepted:
        choices = ", ".join(sorted(map(str, accepted)))
        raise ModelError(f"'{name}' has element type {found.element}, expected one of {choices}")
    return found


def common_element(**operands: TensorInfo | None) -> Attribute | None:
    """The element type that all these operands share, `None` if none is known.

    Raises: ModelError: they differ.
    """
    known = {
        name: found.element
        for name, found in operands.items()
        if found is not None and found.element is not None
    }
    if len(set(known.values())) > 1:
        text = ", ".join(f"{name}: {type_}" for name, type_ in known.items())
        raise ModelError(f"element types differ ({text})")
    return next(iter(known.values()), None)


def expect_rank(name: str, found: TensorInfo, *ranks: int) -> None:
    """Raises: ModelError: the rank is known and none of these."""
    if found.dims is not None and len(found.dims) not in ranks:
        choices = " or ".join(map(str, ranks))
        raise ModelError(f"'{name}' has shape {show(found.dims)}, expected rank {choices}")


def normal_axis(axis: int, rank: int, what: str = "axis") -> int:
    """`axis` counted from the front.

    Raises: ModelError: it is outside [-rank, rank).
    """
    if not -rank <= axis < rank:
        raise ModelError(f"{what} {axis} is outside [{-rank}, {rank})")
    return axis + rank if axis < 0 else axis


def normal_axes(axes: tuple[int, ...], rank: int, what: str = "axes") -> tuple[int, ...]:
    """`normal_axis` of each.

    Raises: ModelError: one is out of range, or named twice.
    """
    normal = tuple(normal_axis(axis, rank, what) for axis in axes)
    if len(set(normal)) != len(normal):
        raise ModelError(f"{what} {list(axes)} name a dimension twice")
    return normal
