"""Trained models give onnxruntime's answers, through every level, for several shapes each.

The rule for f32: |a - b| <= 1e-3 + 1e-3 |b|.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks.trained import characters, classifier_bytes, image, sentences

import nnc
from nnc.frontends.onnx import import_model
from nnc.reference.graph.run import run_module

Array = np.ndarray[Any, Any]
Inputs = Mapping[str, Array]


CASES: dict[str, Callable[[np.random.Generator], list[Inputs]]] = {
    "magika": lambda random: [classifier_bytes(random, count) for count in (1, 3)],
    "mtcnn_pnet": lambda random: [
        image(random, "input_1", *shape) for shape in ((1, 61, 54, 3), (2, 37, 40, 3))
    ],
    "mtcnn_rnet": lambda random: [image(random, "input_2", n, 24, 24, 3) for n in (1, 3)],
    "mtcnn_onet": lambda random: [image(random, "input_3", n, 48, 48, 3) for n in (1, 2)],
    "orientation": lambda random: [image(random, "x", 1, 3, 224, 224)],
    "minilm": lambda random: [sentences(random, *size) for size in ((1, 12), (2, 31))],
    "attacut": lambda random: [characters(random, length) for length in (30, 57)],
    "angle": lambda random: [
        image(random, "x", *shape) for shape in ((1, 3, 48, 192), (2, 3, 48, 97))
    ],
    "speech_embedding": lambda random: [image(random, "input_1", n, 76, 32, 1) for n in (1, 4)],
}

SMALL = ("magika", "mtcnn_pnet", "mtcnn_rnet", "attacut")
"""Those that NumPy runs, operator by operator, in a moment."""


def expected(path: Path, inputs: Inputs) -> dict[str, Array]:
    onnxruntime: Any = import_module("onnxruntime")  # untyped
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [str(output.name) for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, dict(inputs))), strict=True))


def assert_close(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        np.testing.assert_allclose(found[name], array, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_model_agrees_with_onnxruntime(
    name: str, model_path: Callable[[str], Path]
) -> None:
    path = model_path(name)
    model = nnc.compile(path)
    for inputs in CASES[name](np.random.default_rng(3)):
        assert_close(model(inputs), expected(path, inputs))


@pytest.mark.parametrize("name", SMALL)
def test_the_imported_graph_agrees_with_onnxruntime(
    name: str, model_path: Callable[[str], Path]
) -> None:
    path = model_path(name)
    module = import_model(path)
    inputs = CASES[name](np.random.default_rng(4))[0]
    wanted = expected(path, inputs)
    found = run_module(module, inputs)
    assert_close(dict(zip(wanted, found, strict=True)), wanted)
