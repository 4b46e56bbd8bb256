"""`nnc.compile` from the disk cache: what is found again, and what must not be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data, write_external_data_tensors

import nnc
from nnc.compiler import caching
from nnc.runtime import artifact
from nnc.runtime.store import Store

RNG = np.random.default_rng(11)
W = RNG.standard_normal((64, 96), np.float32)
SMALL = RNG.standard_normal(96, np.float32)
assert W.nbytes > artifact.LARGE > SMALL.nbytes


def dense(n: int | str = 5, weights: np.ndarray = W, host: bool = False) -> onnx.ModelProto:
    """relu(x @ W + b); on request the places of its non-zeros too, which the host finds."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["p"], "product"),
        helper.make_node("Add", ["p", "b"], ["s"], "bias"),
        helper.make_node("Relu", ["s"], ["y"], "activation"),
    ]
    outputs = [value("y", TensorProto.FLOAT, (n, 96))]
    constants = {"W": weights, "b": SMALL}
    if host:
        nodes.append(helper.make_node("TopK", ["y", "k"], ["top", "places"], "best", axis=1))
        nodes.append(helper.make_node("Neg", ["top"], ["z"], "negate"))
        outputs.append(value("z", TensorProto.FLOAT, (n, 3)))
        outputs.append(value("places", TensorProto.INT64, (n, 3)))
        constants["k"] = np.array([3])
    graph = helper.make_graph(
        nodes,
        "test",
        [value("x", TensorProto.FLOAT, (n, 64))],
        outputs,
        [numpy_helper.from_array(a, name) for name, a in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write(folder: Path, proto: onnx.ModelProto) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def was_found(model: nnc.Model) -> bool:
    """Whether nothing was compiled: neither a model read nor a kernel emitted."""
    assert model.timings.seconds.keys() & {"emit", "link"}
    return not model.timings.seconds.keys() & {"load", "emit", "schedule"}


def files(folder: Path, kind: str = "*") -> list[Path]:
    return sorted(path for path in folder.glob(f"*/{kind}/*/*") if path.is_file())


X = RNG.standard_normal((5, 64), np.float32)
FRESH_PROCESS = """
    import sys
    import nnc
    model = nnc.compile(sys.argv[1], threads=2)
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"xdsl", "onnx", "lark"})
    import numpy as np
    outputs = model(x=np.load(sys.argv[2]))
    after = sorted({name.partition(".")[0] for name in sys.modules} & {"xdsl", "onnx", "lark"})
    import json
    content = {name: array.tobytes().hex() for name, array in outputs.items()}
    print(json.dumps([loaded, after, content]))
"""


def start(path: Path, folder: Path) -> subprocess.Popen[str]:
    """A process that compiles with the cache in the folder, and prints what it imported and got."""
    np.save(folder / "x.npy", X)
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FRESH_PROCESS), str(path), str(folder / "x.npy")],
        env={**os.environ, "NNC_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[list[str], list[str], Any]:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    loaded, after, outputs = json.loads(out)
    return loaded, after, outputs


@pytest.mark.parametrize("host", [False, True])
def test_a_hit_imports_no_compiler_and_gives_the_same_bits(tmp_path: Path, host: bool):
    """An operator on the host is read when it first runs."""
    path = write(tmp_path, dense(host=host))
    first, _, expected = ended(start(path, tmp_path))
    assert first == ["onnx", "xdsl"]
    loaded, after, outputs = ended(start(path, tmp_path))
    assert loaded == []
    assert after == (["xdsl"] if host else [])
    assert outputs == expected


@pytest.mark.parametrize("written", ["model", "kernel", "constant", "program"])
def test_processes_compile_one_model_at_once_and_one_is_killed(tmp_path: Path, written: str):
    """Killed as soon as it has written a part of the entry, or while it does."""
    path = write(tmp_path, dense())
    victim = start(path, tmp_path)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(f"cache/*/{written}/*/*")):
        assert time.monotonic() < deadline
    victim.kill()
    victim.communicate()
    results = [ended(process) for process in [start(path, tmp_path), start(path, tmp_path)]]
    assert results[0][2] == results[1][2]
    again = ended(start(path, tmp_path))
    assert again == ([], [], results[0][2])


def test_a_model_larger_than_the_cache_does_not_empty_it(tmp_path: Path):
    store = Store(tmp_path / "cache", limit=6 * W.nbytes)
    small = write(tmp_path, dense())
    nnc.compile(small, cache=store)
    assert was_found(nnc.compile(small, cache=store))
    kinds = ("Add", "Max")  # that do not fold into one
    nodes = [helper.make_node(kinds[i % 2], [f"x{i}", f"c{i}"], [f"x{i + 1}"]) for i in range(6)]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "large",
        [value("x0", TensorProto.FLOAT, W.shape)],
        [value("x6", TensorProto.FLOAT, W.shape)],
        [numpy_helper.from_array(W + i, f"c{i}") for i in range(6)],
    )
    opset = [helper.make_opsetid("", 17)]
    large = helper.make_model(graph, opset_imports=opset, ir_version=9)
    for _ in range(2):
        assert not was_found(nnc.compile(large, cache=store))
    assert was_found(nnc.compile(small, cache=store))


def test_sources_share_entries_but_for_their_form(tmp_path: Path):
    proto, store = dense(), Store(tmp_path / "cache")
    path = write(tmp_path, proto)
    assert not was_found(nnc.compile(path, cache=store))
    for source in (path, str(path), path.read_bytes(), proto):
        model = nnc.compile(source, cache=store)
        assert was_found(model)
        np.testing.assert_allclose(
            model(x=X)["y"], np.maximum(X @ W + SMALL, 0), rtol=1e-4, atol=1e-5
        )
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(path.read_bytes())
    assert was_found(nnc.compile(copy, cache=store)), "the content counts, not the name"


def test_each_shape_is_an_entry_and_they_share_weights(tmp_path: Path):
    path = write(tmp_path, dense("n"))
    outputs: dict[int, np.ndarray] = {}
    first = nnc.compile(path, cache=tmp_path / "cache")
    for n in (5, 3):
        outputs[n] = first(x=X[:n])["y"]
    again = nnc.compile(path, cache=tmp_path / "cache")
    for n in (5, 3):
        np.testing.assert_array_equal(again(x=X[:n])["y"], outputs[n])
    assert was_found(again)
    assert [str(each) for each in again.inputs] == ["float32[n, 64]"]
    large = [
        next(a for a in again.executable(((n, 64),)).program.constants.values() if a.size == W.size)
        for n in (5, 3)
    ]
    assert np.shares_memory(large[0], large[1])
    assert len(files(tmp_path / "cache", "constant")) == 1
    again(x=X[:4])
    assert not was_found(again), "a new shape is compiled"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "truncated": lambda content: content[:100],
    "gone": lambda content: content,
}


@pytest.mark.parametrize("kind", ["model", "program", "constant"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_entry_is_made_again(tmp_path: Path, kind: str, damage: str):
    cache = tmp_path / "cache"
    path = write(tmp_path, dense())
    expected = nnc.compile(path, cache=cache)(x=X)["y"]
    for file in files(cache, kind):
        content = file.read_bytes()
        file.unlink()
        if damage != "gone":
            file.write_bytes(DAMAGES[damage](content))
    model = nnc.compile(path, cache=Store(cache))
    assert not was_found(model) or kind == "model"
    np.testing.assert_array_equal(model(x=X)["y"], expected)
    again = nnc.compile(path, cache=Store(cache))
    assert was_found(again)
    np.testing.assert_array_equal(again(x=X)["y"], expected)


def test_an_entry_of_another_form_is_made_again(tmp_path: Path):
    """Its checksum holds and its content is none: no error reaches the user."""
    path, store = write(tmp_path, dense()), Store(tmp_path / "cache")
    nnc.compile(path, cache=store)
    for kind in ("model", "program"):
        for file in files(tmp_path / "cache", kind):
            for content in (
                b"",
                b"[]",
                b'["Head", [], 3, 4]',
                bytes(64),
                (9).to_bytes(8, "little"),
            ):
                store.write(kind, file.name, [content], replace=True)
                assert not was_found(nnc.compile(path, cache=store)) or kind == "model"
    assert was_found(nnc.compile(path, cache=store))


OTHERS: dict[str, dict[str, Any]] = {
    "numerics": {"numerics": "strict"},
    "threads": {"threads": 2},
    "target": {"target": "x86-64-v3"},
}


@pytest.mark.parametrize("option", OTHERS)
def test_other_options_are_another_entry(tmp_path: Path, option: str):
    path, store = write(tmp_path, dense()), Store(tmp_path / "cache")
    nnc.compile(path, threads=1, cache=store)
    options: dict[str, Any] = {"threads": 1, **OTHERS[option]}
    assert not was_found(nnc.compile(path, **options, cache=store))
    assert was_found(nnc.compile(path, threads=1, cache=store))


def test_another_content_shape_or_compiler_is_another_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store(tmp_path / "cache")
    path = write(tmp_path, dense("n"))
    nnc.compile(path, shape={"x": (5, 64)}, cache=store)
    assert was_found(nnc.compile(path, shape={"x": (5, 64)}, cache=store))
    assert not was_found(nnc.compile(path, shape={"x": (6, 64)}, cache=store))
    write(tmp_path, dense("n", W + 1))
    changed = nnc.compile(path, shape={"x": (5, 64)}, cache=store)
    assert not was_found(changed)
    expected = np.maximum(X @ (W + 1) + SMALL, 0)
    np.testing.assert_allclose(changed(x=X)["y"], expected, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(caching, "fingerprint", lambda: "another")
    assert not was_found(nnc.compile(path, shape={"x": (5, 64)}, cache=store))


def test_the_fingerprint_knows_sources_and_packages():
    names = caching._versions()  # pyright: ignore[reportPrivateUsage]
    assert {name.partition("-")[0] for name in names} == set(caching.PACKAGES)
    root = Path(nnc.__file__).parent
    found = {entry.path for entry in caching._sources(str(root))}  # pyright: ignore[reportPrivateUsage]
    for file in ("textir/grammar.lark", "lowering/program/plan.py", "__init__.py"):
        assert str(root / file) in found


def test_weights_in_another_file_are_part_of_the_model(tmp_path: Path):
    store = Store(tmp_path / "cache")

    def save(weights: np.ndarray) -> Path:
        proto = dense(weights=weights)
        convert_model_to_external_data(proto, location="m.bin", size_threshold=1024)
        write_external_data_tensors(proto, str(tmp_path))
        return write(tmp_path, proto)

    for weights in (W, W + 1):
        (tmp_path / "m.bin").unlink(missing_ok=True)
        path = save(weights)
        for found in (False, True):
            model = nnc.compile(path, cache=store)
            assert was_found(model) == found
            expected = np.maximum(X @ weights + SMALL, 0)
            np.testing.assert_allclose(model(x=X)["y"], expected, rtol=1e-4, atol=1e-4)
    (tmp_path / "m.bin").unlink()
    with pytest.raises(nnc.ModelError, match=r"m\.bin"):
        nnc.compile(path, cache=store)


def test_a_text_is_cached_with_the_weights_beside_it(tmp_path: Path):
    from nnc.tools.nnc import main

    store = Store(tmp_path / "cache")
    for weights in (W, W + 1):
        path = write(tmp_path, dense(weights=weights))
        text = tmp_path / "m.nn"
        assert main(["compile", str(path), "--emit", "graph", "-o", str(text)]) == 0
        for found in (False, True):
            model = nnc.compile(text, cache=store)
            assert was_found(model) == found
            expected = np.maximum(X @ weights + SMALL, 0)
            np.testing.assert_allclose(model(x=X)["y"], expected, rtol=1e-4, atol=1e-4)


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its digest is of another content than what was compiled."""
    path, store = write(tmp_path, dense()), Store(tmp_path / "cache")
    known = caching.ModelCache.of(store, path, nnc_options(), {})
    assert known is not None
    os.utime(path, (1, 1))
    known.save_head([], [])
    assert files(tmp_path / "cache") == []


def nnc_options() -> Any:
    from nnc.compiler.options import Options

    return Options.of(threads=1)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path, dense())

    def folders() -> set[str]:
        return {each.name for each in tmp_path.iterdir() if files(each)}

    monkeypatch.setenv("NNC_CACHE", str(tmp_path / "env"))
    nnc.compile(path, cache=False)
    assert folders() == set()
    nnc.compile(path, cache=tmp_path / "argument")
    assert folders() == {"argument"}
    nnc.compile(path)
    assert folders() == {"argument", "env"}
    monkeypatch.setenv("NNC_CACHE", "off")
    nnc.compile(dense("n"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nnc.compile(path)
    assert folders() == {"argument", "env"}
    nnc.compile(path, cache=True)
    assert folders() == {"argument", "env", "nnc"}
    monkeypatch.delenv("NNC_CACHE")
    assert was_found(nnc.compile(path))


def test_what_was_made_on_the_way_is_made_when_it_is_asked_for(tmp_path: Path):
    path, store = write(tmp_path, dense()), Store(tmp_path / "cache")
    nnc.compile(path, cache=store)
    model = nnc.compile(path, cache=store)
    assert was_found(model)
    y = model(x=X)["y"]
    assert model.compiled is not None
    assert model.compiled.kernels.emitted
    assert not was_found(model)
    np.testing.assert_array_equal(model.compiled.executable(x=X)["y"], y)
    assert "graph.matmul" in str(model.module)


def test_of_modules_only_kernels_are_kept(tmp_path: Path):
    module = nnc.parse(
        "func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {\n"
        "  %y = graph.relu(%x) : tensor<3xf32>\n  func.return %y\n}\n"
    )
    nnc.compile(module, cache=tmp_path / "cache")
    assert files(tmp_path / "cache") == files(tmp_path / "cache", "kernel") != []


def test_errors_are_the_same_with_a_cache(tmp_path: Path):
    path = write(tmp_path, dense("n"))
    for _ in range(2):
        model = nnc.compile(path, cache=tmp_path / "cache")
        with pytest.raises(nnc.InputError, match=r"expected shape \[n, 64\]"):
            model(x=X[:, 1:])
        with pytest.raises(nnc.InputError, match="'z'"):
            nnc.compile(path, shape={"z": (1,)}, cache=tmp_path / "cache")
        with pytest.raises(nnc.ModelError, match=r"none\.onnx"):
            nnc.compile("none.onnx", cache=tmp_path / "cache")


def test_an_empty_file_of_schedules_does_not_stand_for_a_missing_one(tmp_path: Path):
    path = write(tmp_path, dense())
    schedules, cache = tmp_path / "s.nn", tmp_path / "cache"
    schedules.write_text("")
    nnc.compile(path, schedules=schedules, cache=cache)
    assert "emit" not in nnc.compile(path, schedules=schedules, cache=cache).timings.seconds
    schedules.unlink()
    with pytest.raises(nnc.TextError, match="No such file"):
        nnc.compile(path, schedules=schedules, cache=cache)


def test_a_file_that_changes_before_it_is_read_is_refused(tmp_path: Path):
    path, cache = write(tmp_path, dense("n")), tmp_path / "cache"
    x = RNG.standard_normal((3, 64)).astype(np.float32)
    nnc.compile(path, cache=cache)(x=x)
    model = nnc.compile(path, cache=cache)  # without reading it
    model(x=x)
    os.utime(path)
    model(x=x[:1])  # the same content
    model = nnc.compile(path, cache=cache)
    model(x=x)
    write(tmp_path, dense("n", weights=2 * W))
    with pytest.raises(nnc.ModelError, match=r"has changed since it was given") as caught:
        model(x=x[:2])
    assert caught.value.where == str(path)
    model(x=x)  # what it has stays
    other = nnc.compile(path, cache=cache)
    assert not np.array_equal(other(x=x[:2])["y"], model(x=x)["y"][:2])
