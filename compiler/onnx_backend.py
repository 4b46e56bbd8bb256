"""nnc behind ONNX's own interface for back ends, which ONNX's test suite drives.

rep = NncBackend.prepare(model)
outputs = rep.run(inputs)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import onnx
from onnx.backend.base import Backend, BackendRep, namedtupledict

from ..core.errors import InputError
from ..runtime.arrays import Array
from .model import Model, compile


class NncRep(BackendRep):
    """A compiled model; inputs and outputs in the graph's order."""

    def __init__(self, model: Model):
        self.model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Outputs as a named tuple; `inputs` is a list in order, or one array."""
        del kwargs
        several = isinstance(inputs, list | tuple)
        given = cast("Sequence[Array]", inputs) if several else [cast("Array", inputs)]
        names = [signature.name for signature in self.model.inputs]
        if len(given) != len(names):
            raise InputError(f"expected {len(names)} inputs, got {len(given)}")
        outputs = self.model(dict(zip(names, given, strict=True)))
        return namedtupledict("Outputs", list(outputs))(*outputs.values())


class NncBackend(Backend):
    """Models through `nnc.compile`, on the CPU, with strict numerics unless asked otherwise."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> NncRep:
        """Compile a model.

        Raises: NncError: it is broken or not supported.
        """
        del device
        return NncRep(compile(model, numerics=kwargs.get("numerics", "strict")))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether `device` is the CPU."""
        return device.partition(":")[0] == "CPU"
