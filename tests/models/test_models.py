"""Trained models give onnxruntime's answers, through every level, for several shapes each.

The rule for f32: |a - b| <= 1e-3 + 1e-3 |b|.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
from nnc.frontends.onnx import import_model
from nnc.reference.graph.run import run_module

Array = np.ndarray[Any, Any]
Inputs = Mapping[str, Array]


def classifier_bytes(random: np.random.Generator) -> Iterator[Inputs]:
    """First and last bytes of files; short files are padded with 256 in the middle."""
    for count in (1, 3):
        features = random.integers(32, 127, (count, 2048))
        features[:, 700:1500] = 256
        yield {"bytes": features.astype(np.int32)}


def images(
    name: str, *shapes: tuple[int, ...]
) -> Callable[[np.random.Generator], Iterator[Inputs]]:
    """Smooth pictures with some noise, in [-1, 1]."""

    def make(random: np.random.Generator) -> Iterator[Inputs]:
        for shape in shapes:
            waves = np.sin(np.indices(shape).sum(axis=0) * random.uniform(0.05, 0.3))
            noisy = 0.8 * waves + 0.2 * random.uniform(-1, 1, shape)
            yield {name: noisy.astype(np.float32)}

    return make


def sentences(random: np.random.Generator) -> Iterator[Inputs]:
    """Token ids with the marks of begin and end, the second sentence shorter than the first."""
    for batch, length in ((1, 12), (2, 31)):
        tokens = random.integers(1000, 28000, (batch, length))
        tokens[:, 0], tokens[:, -1] = 101, 102
        mask = np.ones((batch, length), np.int64)
        if batch > 1:
            tokens[1, length // 2 :] = 0
            mask[1, length // 2 :] = 0
        yield {"input_ids": tokens.astype(np.int64), "attention_mask": mask}


def characters(random: np.random.Generator) -> Iterator[Inputs]:
    """Numbers of characters and of syllables."""
    for length in (30, 57):
        yield {"input": random.integers(0, 70, (1, 2, length)).astype(np.int64)}


CASES: dict[str, Callable[[np.random.Generator], Iterator[Inputs]]] = {
    "magika": classifier_bytes,
    "mtcnn_pnet": images("input_1", (1, 61, 54, 3), (2, 37, 40, 3)),
    "mtcnn_rnet": images("input_2", (1, 24, 24, 3), (3, 24, 24, 3)),
    "mtcnn_onet": images("input_3", (1, 48, 48, 3), (2, 48, 48, 3)),
    "orientation": images("x", (1, 3, 224, 224)),
    "minilm": sentences,
    "attacut": characters,
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
    inputs = next(CASES[name](np.random.default_rng(4)))
    wanted = expected(path, inputs)
    found = run_module(module, inputs)
    assert_close(dict(zip(wanted, found, strict=True)), wanted)
