"""What a compute returns to combine its values over reduce axes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NoReturn

from xdsl.ir import Attribute, Region

from ...core.errors import ExpressionError
from .scalar import Scalar


@dataclass(frozen=True, eq=False)
class Reduction:
    """What a compute's function returns to combine its values over reduce axes.

    Attributes:
        over: the bound axes that it runs over, in order; `None` for those that it made itself.
    """

    values: tuple[Scalar, ...]
    combiner: tuple[str, ...] = ()
    init: tuple[Attribute, ...] = ()
    combine: Region | None = None
    over: tuple[Hashable, ...] | None = None

    def _nested(self, *_: object) -> NoReturn:
        raise nested_reduction()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = __abs__ = _nested
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _nested
    __pow__ = __rpow__ = __and__ = __or__ = __xor__ = __invert__ = _nested
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = astype = cast = _nested


def nested_reduction() -> ExpressionError:
    """The refusal of a reduction inside an expression."""
    return ExpressionError(
        "a reduction stands inside an expression",
        hint="it is all that a compute returns: give it a compute of its own, and read that one",
    )
