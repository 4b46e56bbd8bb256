"""Convolutions in tiles: exact matrices, bounds of the error, compiled kernels of every shape."""

from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nnc
from nnc.dialects.graph.winograd import KERNEL, TILES, multiply, transformed_weights, transforms
from nnc.passes.graph.winograd import MAX_ERROR, amplification, error_bound


@pytest.mark.parametrize("tile", TILES)
def test_the_matrices_compute_a_convolution_exactly(tile: int) -> None:
    """F(m, 3) of every pair of unit vectors, in fractions."""
    matrices, size = transforms(tile), tile + KERNEL - 1
    for tap in range(KERNEL):
        kernel = tuple((Fraction(int(i == tap)),) for i in range(KERNEL))
        weights = multiply(matrices.kernel, kernel)
        for place in range(size):
            data = multiply(
                matrices.input, tuple((Fraction(int(i == place)),) for i in range(size))
            )
            products = tuple((w[0] * d[0],) for w, d in zip(weights, data, strict=True))
            found = [row[0] for row in multiply(matrices.output, products)]
            assert found == [Fraction(int(place == i + tap)) for i in range(tile)]


@pytest.mark.parametrize("tile", TILES)
def test_weights_are_transformed_in_double(tile: int) -> None:
    weights = np.random.default_rng(0).standard_normal((5, 4, 3, 3)).astype(np.float32)
    kernel = np.array([[float(entry) for entry in row] for row in transforms(tile).kernel])
    expected = np.einsum("xa,oiab,yb->xyoi", kernel, weights.astype(np.float64), kernel)
    np.testing.assert_allclose(transformed_weights(weights, tile), expected, rtol=1e-13, atol=1e-14)


def test_larger_tiles_have_larger_errors_within_the_bound() -> None:
    weights = np.random.default_rng(1).standard_normal((8, 64, 3, 3)).astype(np.float32)
    assert 1 < amplification(weights, 2) < amplification(weights, 4)
    assert error_bound(weights, 4) < MAX_ERROR
    assert error_bound(weights * 1e6, 4) == pytest.approx(error_bound(weights, 4), rel=1e-5)


def model(
    shape: tuple[int, ...], out: int, pads: list[int], *, residual: bool = False, mean: float = 0.0
) -> tuple[onnx.ModelProto, np.ndarray]:
    """A 3x3 convolution with bias and relu, maybe with a tensor added before; and its input."""
    random = np.random.default_rng(sum(shape) + out)
    channels = shape[1]
    scale = np.sqrt(2 / (9 * channels))
    constants = {
        "w": (random.standard_normal((out, channels, 3, 3)) * scale).astype(np.float32),
        "b": random.standard_normal(out).astype(np.float32),
        "r": random.standard_normal((1, out, 1, 1)).astype(np.float32),
    }
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=pads)]
    if residual:
        nodes.append(helper.make_node("Conv", ["x", "e"], ["s"], pads=pads))
        nodes.append(helper.make_node("Add", ["c", "s"], ["a"]))
        constants["e"] = (random.standard_normal((out, channels, 3, 3)) * scale).astype(np.float32)
    nodes.append(helper.make_node("Relu", ["a" if residual else "c"], ["y"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return made, (random.standard_normal(shape) + mean).astype(np.float32)


def operators(compiled: nnc.Model) -> set[str]:
    assert compiled.compiled is not None
    return {name for names in compiled.compiled.operators.values() for name in names}


SHAPES = [
    ((1, 32, 20, 20), 32, [1, 1, 1, 1]),  # one group, rows of five tiles
    ((1, 16, 64, 64), 16, [1, 1, 1, 1]),  # rows of tiles shared by the threads
    ((2, 24, 13, 9), 40, [1, 1, 1, 1]),  # channels and pixels that fill neither blocks nor tiles
    ((5, 32, 8, 8), 96, [1, 1, 1, 1]),  # images within one register tile
    ((1, 64, 12, 12), 64, [0, 0, 0, 0]),
    ((1, 20, 17, 17), 33, [2, 1, 0, 1]),
    ((1, 48, 34, 6), 48, [1, 0, 1, 2]),
]


@pytest.mark.parametrize("target", ["cpu", "x86-64-v3"])
@pytest.mark.parametrize(("shape", "out", "pads"), SHAPES)
def test_tiles_agree_with_the_direct_convolution(
    shape: tuple[int, ...], out: int, pads: list[int], target: str
) -> None:
    network, x = model(shape, out, pads, residual=out == 40)
    fast = nnc.compile(network, target=target)
    strict = nnc.compile(network, target=target, numerics="strict")
    assert "winograd_conv" in operators(fast)
    assert "winograd_conv" not in operators(strict)
    wanted, found = strict({"x": x})["y"], fast({"x": x})["y"]
    assert np.abs(found - wanted).max() < 4e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("mean", [0.0, 30.0])
def test_a_large_mean_stays_within_the_bound(mean: float) -> None:
    """The error is relative to the magnitudes that are added, not to what remains of them."""
    network, x = model((1, 64, 28, 28), 64, [1, 1, 1, 1], mean=mean)
    wanted = nnc.compile(network, numerics="strict")({"x": x})["y"]
    found = nnc.compile(network)({"x": x})["y"]
    magnitude = (np.abs(x).max() * np.sqrt(2 / 576)) * 576
    assert np.abs(found - wanted).max() < 3e-7 * magnitude


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    network, x = model((1, 64, 14, 14), 128, [1, 1, 1, 1])
    one, two = (nnc.compile(network, threads=n)({"x": x})["y"] for n in (1, 2))
    assert np.array_equal(one, two)
