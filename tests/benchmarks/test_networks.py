"""The networks of the benchmarks: finite, varied, the same every time; and their work."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from networks import GROUPS, NETWORKS
from networks.kernels import KERNELS
from networks.net import Net
from networks.work import Work, model_work
from peers import choose

from nnc.core.errors import InputError

Array = np.ndarray[Any, Any]
SMALL = ("mlp", "mlp-batch4", "mobilenetv2", "squeezenet", "shufflenet", "efficientnet_b0")
TRANSLATED = (
    *("mobilenetv2", "inception_v1", "mtcnn_onet", "magika", "minilm", "orientation"),
    *("speech_embedding", "attacut"),
)
"""All operators that are translated to torch are in these."""
SMALL_KERNELS = [name for name in KERNELS if "1024" not in name and "2048" not in name]


def run_onnx(model: onnx.ModelProto, inputs: dict[str, Array]) -> Array:
    onnxruntime: Any = import_module("onnxruntime")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, inputs)[0])


@pytest.mark.parametrize("name", SMALL)
def test_outputs_are_finite_and_depend_on_the_input(name: str):
    network = NETWORKS[name]
    model = network.build()
    first, second = (
        run_onnx(model, network.inputs(np.random.default_rng(seed))).reshape(-1) for seed in (1, 2)
    )
    assert np.isfinite(first).all()
    spread = float(first.std())
    assert spread > 1e-4
    assert float(np.abs(first - second).max()) > 1e-3 * spread


@pytest.mark.parametrize("name", ["mlp", "squeezenet"])
def test_a_network_is_the_same_every_time_and_kept(name: str, tmp_path: Path):
    network = NETWORKS[name]
    path = network.file(tmp_path)
    content, changed = path.read_bytes(), path.stat().st_mtime_ns
    assert network.file(tmp_path) == path
    assert path.stat().st_mtime_ns == changed
    path.unlink()
    assert network.file(tmp_path).read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_weights_of_the_wheels_topologies_are_all_initialisers():
    graph = NETWORKS["shufflenet"].build().graph
    assert [value.name for value in graph.input] == ["gpu_0/data_0"]
    assert not [node for node in graph.node if node.op_type == "ConstantOfShape"]
    known = {t.name for t in graph.initializer} | {n for node in graph.node for n in node.output}
    assert {n for node in graph.node for n in node.input} <= known | {"gpu_0/data_0"}


def test_networks_are_chosen_by_name_or_group():
    assert [one.name for one in choose(["mlp", "resnet18"])] == ["resnet18", "mlp"]
    assert {one.group for one in choose(["trained"])} == {"trained"}
    assert len(choose(["trained"])) == 9
    assert {one.group for one in choose(GROUPS)} == set(GROUPS)
    with pytest.raises(InputError, match="unknown network or group 'vgg'"):
        choose(["vgg"])


def by_counting(size: int, kernel: int, stride: int, pad: int) -> int:
    out = (size + 2 * pad - kernel) // stride + 1
    return sum(0 <= o * stride + k - pad < size for o, k in product(range(out), range(kernel)))


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(3, 1, 1), (5, 2, 4), (1, 1, 1)])
def test_multiplications_by_padding_are_no_work(
    kernel: int, stride: int, groups: int, tmp_path: Path
):
    net = Net("one", (2, 8, 11, 13), 0)
    output = net.add("Flatten", net.conv("x", 12, kernel, stride, groups))
    path = tmp_path / "one.onnx"
    path.write_bytes(net.model(output).SerializeToString())
    taps = [by_counting(size, kernel, stride, kernel // 2) for size in (11, 13)]
    pairs = 2 * 12 * (8 // groups) * taps[0] * taps[1]
    assert model_work(path) == [Work(2 * pairs, 4 * 12 * (8 // groups) * kernel**2)]


def test_work_of_matrix_products(tmp_path: Path):
    path = NETWORKS["mlp-batch4"].file(tmp_path)
    sizes = ((784, 512), (512, 512), (512, 10))
    # The bias is a weight too.
    assert model_work(path) == [Work(8 * k * n, 4 * (k * n + n)) for k, n in sizes]


def test_seconds_are_those_of_the_slower_of_both():
    assert Work(118_000_000, 1000).seconds(118.0, 20.0) == pytest.approx(1e-3)
    assert Work(1000, 20_000_000).seconds(118.0, 20.0) == pytest.approx(1e-3)


@pytest.mark.parametrize("name", SMALL_KERNELS)
def test_numpy_computes_what_the_onnx_kernel_does(name: str):
    kernel = KERNELS[name]
    inputs = kernel.arrays()
    found = kernel.numpy({**kernel.constants(), **inputs})
    wanted = run_onnx(kernel.model(), inputs)
    assert found.shape == wanted.shape == kernel.output
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("name", TRANSLATED)
def test_torch_runs_the_same_network(name: str, model_file: Callable[[str], Path]):
    pytest.importorskip("torch")
    systems: Any = import_module("systems.torch_module")
    model = onnx.ModelProto.FromString(model_file(name).read_bytes())
    inputs = NETWORKS[name].inputs(np.random.default_rng(3))
    torch: Any = import_module("torch")
    module = systems.torch_module(model, inputs)
    with torch.no_grad():
        found = module(*[torch.from_numpy(array) for array in inputs.values()])[0].numpy()
    wanted = run_onnx(model, inputs)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Built once for all tests."""
    folder = tmp_path_factory.mktemp("models")
    return lambda name: NETWORKS[name].file(folder)
