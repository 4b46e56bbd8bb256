"""Outputs to compare with that are not our reference's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import InputError
from ...runtime.arrays import Array
from .locate import Culprit
from .trace import Trace
from .values import Tolerance, Wanted, compare

OURS, ONNXRUNTIME = "reference", "onnxruntime"


def given_outputs(
    against: str, model: str, inputs: Mapping[str, Array], names: Sequence[str]
) -> dict[str, Array] | None:
    """The outputs by name; `None` for our own reference.

    Raises: InputError: onnxruntime is not there, or a file holds no output of the model.
    """
    if against == OURS:
        return None
    if against == ONNXRUNTIME:
        return OnnxRuntime(model).run(inputs)
    from ..model.arrays import read_arrays

    found = read_arrays(against)
    outputs = {name: array for name, array in found.items() if name in names}
    if not outputs:
        raise InputError(
            f"holds none of the outputs: {', '.join(names)}",
            where=against,
            hint=f"it holds {', '.join(found) or 'nothing'}",
        )
    return outputs


class OnnxRuntime:
    """A model in onnxruntime, where it is installed.

    Raises: InputError: it is not, or the model is no ONNX file.
    """

    def __init__(self, model: str):
        if find_spec("onnxruntime") is None:
            raise InputError("onnxruntime is not installed", hint="pip install onnxruntime")
        if Path(model).suffix != ".onnx":
            raise InputError("onnxruntime reads ONNX files only", where=model)
        self.model = model

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name."""
        return self._run(Path(self.model).read_bytes(), inputs)

    def run_inside(self, inputs: Mapping[str, Array]) -> dict[str, tuple[str, int, Array]]:
        """Every tensor inside the model by name, with its node and its number there."""
        import onnx

        from ...frontends.onnx.load import load_model

        proto, _ = load_model(self.model)
        names = {output.name for output in proto.graph.output}
        places: dict[str, tuple[str, int]] = {}
        for node in proto.graph.node:
            for number, name in enumerate(node.output):
                if name and node.name:
                    places[name] = node.name, number
                    if name not in names:
                        proto.graph.output.append(onnx.ValueInfoProto(name=name))
        found = self._run(proto.SerializeToString(), inputs)
        return {name: (*place, found[name]) for name, place in places.items()}

    def _run(self, model: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
        runtime: Any = import_module("onnxruntime")  # untyped
        options: Any = runtime.SessionOptions()
        options.log_severity_level = 3
        session: Any = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [str(output.name) for output in session.get_outputs()]
        return dict(zip(names, map(np.asarray, session.run(names, dict(inputs))), strict=True))


def locate_in_import(
    model: str, inputs: Mapping[str, Array], ours: Trace, tolerance: Tolerance
) -> Culprit | None:
    """The first node that onnxruntime computes otherwise than the imported graph."""
    from ...core.locations import describe_location

    inside = OnnxRuntime(model).run_inside(inputs)
    theirs = {(f"node '{node}'", number): array for node, number, array in inside.values()}
    for op in ours.ops:
        for number, value in enumerate(op.results):
            array = theirs.get((describe_location(op.location) or "", number))
            wanted = ours.values[value]
            if array is None or array.shape != wanted.array.shape:
                continue
            shift = wanted.wide - wanted.array
            difference = compare(Wanted(array, array + shift), wanted.array, tolerance)
            if difference.is_wrong:
                return Culprit(op, f"{op.name} gives another result than onnxruntime", difference)
    return None
