"""*.mlp: read by both tools, and refused with the layer's name."""

import json
from pathlib import Path

import numpy as np
import pytest

import nnc
from nnc.core.errors import ModelError
from nnc.core.testing import call
from nnc.tools import nn_opt

RNG = np.random.default_rng(0)
W, B = RNG.standard_normal((3, 70)).astype(np.float32), RNG.standard_normal(70).astype(np.float32)


def write(folder: Path, layer: dict[str, object]) -> Path:
    path = folder / "net.mlp"
    path.write_text(json.dumps({"input": [2, 3], "layers": [layer]}))
    return path


def test_a_network_runs(tmp_path: Path) -> None:
    layer: dict[str, object] = {"weights": W.tolist(), "bias": B.tolist(), "activation": "Relu"}
    model = nnc.compile(write(tmp_path, layer))
    x = RNG.standard_normal((2, 3)).astype(np.float32)
    np.testing.assert_allclose(model(x=x)["y"], np.maximum(x @ W + B, 0), rtol=1e-6, atol=1e-6)


def test_nn_opt_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path, {"weights": W.tolist()})
    done = call(nn_opt.main, ["-f", "mlp", str(path)])
    assert b"graph.matmul" in done.out
    assert b"formats: nn" not in done.err


def test_a_wrong_layer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="lacks 'weights'") as error:
        nnc.compile(write(tmp_path, {"bias": [1]}))
    assert error.value.where == "layer 0"
