"""The NumPy meaning of every graph operator: slow, obvious, the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from xdsl.ir import Operation

from ...core.errors import UnsupportedError
from ...dialects.graph.registry import FAMILIES, operator

for _family in FAMILIES:  # importing a family declares its meanings
    import_module(f".{_family.__name__.rpartition('.')[2]}", __name__)


def evaluate(op: Operation, inputs: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """What `op` gives for these operands (by position, without the absent ones).

    Raises: UnsupportedError: the operator has no meaning, or cannot have one (random dropout).
    """
    found = operator(op.name).meaning
    if found is None:
        raise UnsupportedError(f"operator '{op.name}' has no NumPy meaning")
    return list(found(op, inputs))
