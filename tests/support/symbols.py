"""What a symbol computes, and random arrays to give it."""

from __future__ import annotations

from typing import Any

import numpy as np

import nnc.graph
import nnc.symbol as sym
from nnc.passes.graph.infer_shapes import specialize
from nnc.reference.graph.run import run_module

Array = np.ndarray[Any, Any]


def run(symbol: sym.Symbol, *inputs: Array) -> list[Array]:
    """Outputs by the reference, inputs bound in the order of `list_input_names`."""
    graph = nnc.graph.create(symbol)
    arrays = dict(zip(graph.input_names, inputs, strict=True))
    module = graph.module.clone()
    specialize(
        module,
        {name: array.shape for name, array in arrays.items()},
        {name: array.dtype.name for name, array in arrays.items()},
    )
    module.verify()
    return run_module(module, list(arrays.values()))


class Draws:
    """Random f32 arrays, the same in every run."""

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)

    def floats(self, *shape: int) -> Array:
        """Of either sign."""
        return self._random.uniform(-2, 2, shape).astype(np.float32)

    def positive(self, *shape: int) -> Array:
        """Not near zero."""
        return self._random.uniform(0.5, 2, shape).astype(np.float32)
