"""What a caller sees of a network: names, extents and dtypes of its inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..core.errors import ModelError
from .program import TensorSpec


@dataclass(frozen=True)
class Signature:
    """One input or output whose extents may be open: names of sizes, or "?".

    Attributes:
        shape: `None` where not even the rank is known.
        dtype: `None` where it is not known.
    """

    name: str
    shape: tuple[int | str, ...] | None
    dtype: np.dtype[Any] | None

    @property
    def is_static(self) -> bool:
        """Whether everything is known."""
        return (
            self.dtype is not None
            and self.shape is not None
            and all(isinstance(extent, int) for extent in self.shape)
        )

    def spec(self) -> TensorSpec:
        """The same, for the runtime.

        Raises: ModelError: something is not known.
        """
        if not self.is_static:
            raise ModelError(
                f"{self} is not known", where=f"'{self.name}'", hint="give --shape or shape="
            )
        assert self.shape is not None
        assert self.dtype is not None
        return TensorSpec(self.name, cast("tuple[int, ...]", self.shape), self.dtype)

    def __str__(self) -> str:
        shape = "[...]" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.dtype.name if self.dtype is not None else '?'}{shape}"
