"""`nnc.compile` on small models: sources, shapes, threads, memory of inputs and outputs, errors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nnc
from nnc.compiler import model as model_module
from nnc.runtime.executable import Executable, Workspace
from nnc.runtime.memory import MemoryUse
from nnc.runtime.program import HostStep, Segment

RNG = np.random.default_rng(7)
WEIGHTS = {
    "W": RNG.standard_normal((16, 32), np.float32),
    "B": RNG.standard_normal(32, np.float32),
    "W2": RNG.standard_normal((8, 10), np.float32),
}
FLOAT = TensorProto.FLOAT
Extents = tuple[int | str, ...]


def make_model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Extents],
    outputs: dict[str, Extents | None],
    constants: dict[str, Any] | None = None,
    types: dict[str, int] | None = None,
) -> onnx.ModelProto:
    def value(name: str, extents: Extents | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, (types or {}).get(name, FLOAT), extents)

    graph = helper.make_graph(
        nodes,
        "test",
        [value(*pair) for pair in inputs.items()],
        [value(*pair) for pair in outputs.items()],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def classifier() -> onnx.ModelProto:
    """Two products, a reshape between them, a softmax; the middle is an output too."""
    return make_model(
        [
            helper.make_node("MatMul", ["x", "W"], ["a"], "first"),
            helper.make_node("Add", ["a", "B"], ["b"], "bias"),
            helper.make_node("Relu", ["b"], ["hidden"], "activation"),
            helper.make_node("Reshape", ["hidden", "shape"], ["d"], "split"),
            helper.make_node("MatMul", ["d", "W2"], ["e"], "second"),
            helper.make_node("Softmax", ["e"], ["y"], "probabilities"),
        ],
        {"x": ("n", 16)},
        {"y": ("m", 10), "hidden": ("n", 32)},
        {**WEIGHTS, "shape": np.array([-1, 8])},
    )


def classify(x: np.ndarray) -> dict[str, np.ndarray]:
    hidden = np.maximum(x @ WEIGHTS["W"] + WEIGHTS["B"], 0)
    e = np.exp(hidden.reshape(-1, 8) @ WEIGHTS["W2"])
    return {"y": e / e.sum(1, keepdims=True), "hidden": hidden}


def assert_close(got: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(got) == list(expected)
    for name, array in expected.items():
        assert got[name].shape == array.shape
        assert got[name].dtype == array.dtype
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def model() -> nnc.Model:
    return nnc.compile(classifier(), threads=2)


def test_open_extents_are_filled_in_at_the_call(model: nnc.Model):
    for n in (1, 5, 1):
        x = RNG.standard_normal((n, 16), np.float32)
        assert_close(model(x=x), classify(x))
    assert [str(each) for each in model.inputs] == ["float32[n, 16]"]


def test_a_mapping_and_keywords_mean_the_same(model: nnc.Model):
    x = RNG.standard_normal((1, 16), np.float32)
    np.testing.assert_array_equal(model({"x": x})["y"], model(x=x)["y"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((2, 15), np.float32), r"expected shape \[n, 16\]"),
        (np.zeros(16, np.float32), "expected rank 2"),
        (np.zeros((2, 16)), "expected dtype float32, got float64"),
    ],
)
def test_wrong_arrays_are_refused_before_anything_is_compiled(
    model: nnc.Model, value: np.ndarray, message: str
):
    with pytest.raises(nnc.InputError, match=message):
        model(x=value)


def test_shapes_are_cached_and_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_module, "CACHED_SHAPES", 2)
    model = nnc.compile(relu_model(("n",)), threads=1)
    variants = [model.variant(((n,),)) for n in (1, 2, 1, 3)]
    assert variants[0] is variants[2]
    assert model.variant(((1,),)) is variants[0], "the least recently used goes first"
    assert model.variant(((2,),)) is not variants[1]


def test_variants_share_their_constants(model: nnc.Model):
    """Two batch sizes, one copy of each weight, packed or as it is."""

    def constants(n: int) -> dict[bytes, np.ndarray]:
        program = model.variant(((n, 16),)).executable.program
        return {array.tobytes(): array for array in program.constants.values()}

    some, others = constants(3), constants(4)
    assert len(some) >= 3
    assert some.keys() == others.keys(), "equal layouts at both sizes"
    for content, array in some.items():
        assert np.shares_memory(array, others[content])


def relu_model(shape: Extents) -> onnx.ModelProto:
    return make_model([helper.make_node("Relu", ["x"], ["y"], "r")], {"x": shape}, {"y": shape})


def source_path(proto: onnx.ModelProto, folder: Path) -> Any:
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    return folder / "m.onnx"


def source_text(proto: onnx.ModelProto, folder: Path) -> Any:
    del proto
    (folder / "m.nn").write_text(
        "func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {\n"
        "  %y = graph.relu(%x) : tensor<3xf32>\n"
        "  func.return %y\n}\n"
    )
    return str(folder / "m.nn")


SOURCES: dict[str, Callable[[onnx.ModelProto, Path], Any]] = {
    "proto": lambda proto, _: proto,
    "bytes": lambda proto, _: proto.SerializeToString(),
    "path": source_path,
    "string": lambda proto, folder: str(source_path(proto, folder)),
    "text file": source_text,
    "module": lambda proto, folder: nnc.parse(Path(source_text(proto, folder)).read_text()),
}


@pytest.mark.parametrize("source", SOURCES)
def test_sources(source: str, tmp_path: Path):
    model = nnc.compile(SOURCES[source](relu_model((3,)), tmp_path), threads=1)
    x = np.array([-1, 0, 2], np.float32)
    assert model(x=x)["y"].tolist() == [0, 0, 2]


@pytest.mark.parametrize(("wrong", "message"), [(7, "got int"), ("no.nn", "No such file")])
def test_what_is_no_model_is_refused(wrong: Any, message: str):
    with pytest.raises(nnc.NncError, match=message):
        nnc.compile(wrong)


def test_a_module_is_not_changed():
    module = nnc.parse(
        "func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {\n"
        "  %y = graph.relu(%x) : tensor<3xf32>\n  func.return %y\n}\n"
    )
    before = str(module)
    nnc.compile(module, threads=1)
    assert str(module) == before


def deep_model() -> onnx.ModelProto:
    """Large enough that threads share the work of each kernel."""
    rng = np.random.default_rng(3)
    weights = {f"w{i}": rng.standard_normal((96, 96), np.float32) / 10 for i in range(3)}
    nodes = [helper.make_node("Transpose", ["x"], ["t"], "turn", perm=[1, 0])]
    last = "t"
    for i in range(3):
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], [f"m{i}"], f"product{i}"))
        nodes.append(helper.make_node("Softmax", [f"m{i}"], [f"s{i}"], f"softmax{i}"))
        nodes.append(helper.make_node("Add", [f"s{i}", f"m{i}"], [f"a{i}"], f"sum{i}"))
        last = f"a{i}"
    return make_model(nodes, {"x": (96, 257)}, {last: (257, 96), "s1": (257, 96)}, weights)


@pytest.fixture(scope="module")
def deep() -> nnc.Model:
    return nnc.compile(deep_model(), threads=2)


def test_results_are_the_same_bits_for_every_number_of_threads(deep: nnc.Model):
    x = RNG.standard_normal((96, 257), np.float32)
    single = nnc.compile(deep_model(), threads=1)(x=x)
    for _ in range(5):
        several = deep(x=x)
        for name, array in single.items():
            assert array.tobytes() == several[name].tobytes(), name


@pytest.mark.parametrize("threads", [1, 3, 5])
def test_more_threads_than_processors_give_the_same_bits(deep: nnc.Model, threads: int):
    assert deep.compiled is not None
    program = deep.compiled.executable.program
    assert any(isinstance(step, Segment) and step.is_parallel for step in program.steps)
    executable = Executable(program, threads, deep.compiled.executable.pool_code)
    x = RNG.standard_normal((96, 257), np.float32)
    expected = deep(x=x)
    for _ in range(3):
        for name, array in executable(x=x).items():
            assert array.tobytes() == expected[name].tobytes(), name


def test_concurrent_callers_with_new_shapes():
    """Each compiles, and runs what others compiled meanwhile."""
    model = nnc.compile(classifier(), threads=2)
    arrays = [RNG.standard_normal((1 + i % 3, 16), np.float32) for i in range(8)]
    with ThreadPoolExecutor(4) as callers:
        for future, x in [(callers.submit(model, x=x), x) for x in arrays]:
            assert_close(future.result(), classify(x))


def test_the_memory_of_a_call_is_what_is_held(deep: nnc.Model):
    assert deep.compiled is not None
    executable = deep.compiled.executable
    use = MemoryUse.of(executable)
    held = Workspace(executable.program, executable.threads)
    assert use.intermediates == held.arena.nbytes > 0
    assert use.scratch == held.scratch.nbytes
    assert use.staged == sum(array.nbytes for array in held.staged.values())
    assert use.constants == sum(array.nbytes for array in executable.program.constants.values())
    out = deep(x=np.zeros((96, 257), np.float32))
    assert use.outputs == sum(array.nbytes for array in out.values())
    assert use.peak == sum((held.arena.nbytes, held.scratch.nbytes, use.staged)) + (
        use.constants + use.outputs
    )


def test_concurrent_callers_do_not_disturb_each_other(deep: nnc.Model):
    arrays = [RNG.standard_normal((96, 257), np.float32) for _ in range(4)]
    expected = [deep(x=x) for x in arrays]

    def call(index: int) -> None:
        for _ in range(5):
            got = deep(x=arrays[index])
            for name, array in expected[index].items():
                assert got[name].tobytes() == array.tobytes()

    with ThreadPoolExecutor(4) as callers:
        for future in [callers.submit(call, index) for index in range(4)]:
            future.result()


def aliases() -> onnx.ModelProto:
    """Outputs that are an input, a view of one, a constant, and one value twice."""
    return make_model(
        [
            helper.make_node("Identity", ["x"], ["same"], "same"),
            helper.make_node("Reshape", ["x", "shape"], ["flat"], "flat"),
            helper.make_node("Identity", ["c"], ["constant"], "constant"),
            helper.make_node("Neg", ["x"], ["y"], "negate"),
            helper.make_node("Identity", ["y"], ["again"], "again"),
            helper.make_node("Flatten", ["y"], ["view"], "view", axis=0),
        ],
        {"x": (2, 3)},
        {
            "same": (2, 3),
            "flat": (6,),
            "constant": (2,),
            "y": (2, 3),
            "again": (2, 3),
            "view": (1, 6),
        },
        {"shape": np.array([6]), "c": np.array([1.5, -2], np.float32)},
    )


def test_outputs_are_arrays_of_their_own():
    model = nnc.compile(aliases(), threads=1)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for _ in range(2):
        out = model(x=x)
        expected = {
            "same": x,
            "flat": x.reshape(-1),
            "constant": np.array([1.5, -2], np.float32),
            "y": -x,
            "again": -x,
            "view": -x.reshape(1, 6),
        }
        assert_close(out, expected)
        for array in out.values():
            array[...] = 99  # must reach neither the input, nor a constant, nor another output
            assert sum((other == 99).all() for other in out.values()) == 1
            array[...] = 0
        assert x[1, 2] == 5


def test_zero_sizes_and_scalars():
    nodes = [
        helper.make_node("Concat", ["x", "x"], ["y"], "twice", axis=0),
        helper.make_node("ReduceSum", ["y"], ["total"], "sum", keepdims=0),
    ]
    model = nnc.compile(make_model(nodes, {"x": ("n", 3)}, {"y": ("m", 3), "total": ()}), threads=1)
    out = model(x=np.empty((0, 3), np.float32))
    assert out["y"].shape == (0, 3)
    assert out["total"] == 0
    assert out["total"].shape == ()
    assert model(x=np.ones((2, 3), np.float32))["total"] == 12


def unique_model() -> onnx.ModelProto:
    """Unique has a shape that depends on data; a kernel stands before it."""
    return make_model(
        [
            helper.make_node("Abs", ["x"], ["a"], "abs"),
            helper.make_node("NonZero", ["a"], ["places"], "places"),
        ],
        {"x": (6,)},
        {"places": (1, "k")},
        types={"places": TensorProto.INT64},
    )


def test_operators_that_cannot_be_compiled_run_on_the_host():
    model = nnc.compile(unique_model(), threads=1)
    assert model.compiled is not None
    steps = model.compiled.executable.program.steps
    assert [step.operator for step in steps if isinstance(step, HostStep)] == ["non_zero"]
    for x in ([0, 1, 0, -2, 0, 0], [0] * 6):
        expected = np.nonzero(np.array(x))
        np.testing.assert_array_equal(model(x=x)["places"], np.array(expected))


def test_segments_around_a_host_step_share_kernels():
    """Equal kernels stand before and after a sort, which runs on the host."""
    nodes = [
        helper.make_node("Exp", ["x"], ["e"], "before"),
        helper.make_node("TopK", ["e", "k"], ["largest", "places"], "sort"),
        helper.make_node("Exp", ["largest"], ["y"], "after"),
        helper.make_node("Flatten", ["largest"], ["row"], "view", axis=0),
        helper.make_node("Exp", ["row"], ["z"], "last"),
    ]
    proto = make_model(
        nodes,
        {"x": (3, 5)},
        {"y": (3, 5), "places": (3, 5), "z": (1, 15)},
        {"k": np.array([5])},
        {"places": TensorProto.INT64},
    )
    model = nnc.compile(proto, threads=2)
    for _ in range(2):
        x = RNG.standard_normal((3, 5), np.float32)
        order = np.argsort(-x, axis=1, kind="stable")
        largest = np.exp(np.take_along_axis(x, order, 1))
        expected = {"y": np.exp(largest), "places": order, "z": np.exp(largest).reshape(1, -1)}
        assert_close(model(x=x), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "x86"}, "unknown target 'x86'"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"numerics": "exact"}, "fast or strict"),
        ({"shape": {"z": (3,)}}, "'z'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(nnc.NncError, match=message):
        nnc.compile(relu_model(("n",)), **options)


def test_code_for_another_machine_is_not_run():
    with pytest.raises(nnc.UnsupportedError, match=r"cannot run code|lacks"):
        nnc.compile(relu_model((3,)), target="aarch64-neon")


def test_strict_numerics_add_a_bias_after_the_products():
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
    large = np.full(32, 2.0**26, np.float32)  # next to it 8 is one place, 1 is none
    constants = {"w": np.ones((8, 32), np.float32), "b": large}
    model = make_model([node], {"x": (4, 8)}, {"y": (4, 32)}, constants)
    x = np.ones((4, 8), np.float32)
    strict = nnc.compile(model, numerics="strict", threads=1)(x=x)["y"]
    np.testing.assert_array_equal(strict, 2.0**26 + 8)
    fast = nnc.compile(model, threads=1)(x=x)["y"]
    assert np.abs(fast - strict).max() <= 8


def test_strict_softmax_divides():
    """Its exponentials as they are computed alone, summed in order, then one division each."""
    exponential = make_model(
        [
            helper.make_node("ReduceMax", ["x"], ["t"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["x", "t"], ["d"]),
            helper.make_node("Exp", ["d"], ["y"]),
        ],
        {"x": (9, 70)},
        {"y": (9, 70)},
    )
    softmax = make_model(
        [helper.make_node("Softmax", ["x"], ["y"])], {"x": (9, 70)}, {"y": (9, 70)}
    )
    x = RNG.standard_normal((9, 70), np.float32)
    parts = nnc.compile(exponential, numerics="strict")(x=x)["y"]
    totals = np.cumsum(parts, axis=1, dtype=np.float32)[:, -1:]
    strict = nnc.compile(softmax, numerics="strict")(x=x)["y"]
    np.testing.assert_array_equal(strict, parts / totals)
    fast = nnc.compile(softmax)(x=x)["y"]
    assert (fast != strict).any(), "the reciprocal of a row's sum is rounded once more"
    np.testing.assert_allclose(fast, strict, rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "shape"), [("gather", (4,)), ("gather_elements", (4,)), ("gather_nd", (4, 1))]
)
def test_an_index_out_of_range_reads_the_nearest_element(op: str, shape: tuple[int, ...]) -> None:
    """Never what lies outside of the tensor."""
    index = f"tensor<{'x'.join(map(str, shape))}xi64>"
    model = nnc.compile(
        nnc.parse(f"""
        func.func @main(%x: tensor<5xf32>, %i: {index}) -> tensor<4xf32> {{
          %y = graph.{op}(%x, %i) : tensor<4xf32>
          func.return %y
        }}""")
    )
    wanted = np.array([-(2**62), -6, 5, 2**62]).reshape(shape)
    (got,) = model(x=np.arange(5, dtype=np.float32), i=wanted).values()
    assert got.tolist() == [0, 0, 4, 4]
