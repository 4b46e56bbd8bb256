"""Kernels from the disk cache: what models share, what makes another kernel, what is distrusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
import nnc.symbol as sym
from nnc.compiler import kernel_cache
from nnc.compiler.kernel_cache import KIND
from nnc.core import extensions
from nnc.runtime.store import Store
from nnc.textir.weights import weights_of

X = np.random.default_rng(3).standard_normal((5, 48), np.float32)
WEIGHTS = np.random.default_rng(4).standard_normal((2, 48, 48), np.float32)
MODEL = """
func.func @main(%x: tensor<5x48xf32>, %w: tensor<48x48xf32>, %v: tensor<48x48xf32>)
    -> tensor<5x48xf32> {
  %0 = graph.matmul(%x, %w) : tensor<5x48xf32>
  %1 = graph.relu(%0) : tensor<5x48xf32>
  %2 = graph.matmul(%1, %v) : tensor<5x48xf32>
  %3 = graph.LAST(%2) : tensor<5x48xf32>
  func.return %3
}
"""
INPUTS = {"x": X, "w": WEIGHTS[0], "v": WEIGHTS[1]}


def compiled(store: Store | bool, last: str = "relu", **options: Any) -> nnc.Model:
    return nnc.compile(nnc.parse(MODEL.replace("LAST", last)), cache=store, **options)


def result(model: nnc.Model) -> np.ndarray[Any, Any]:
    return model(INPUTS)[model.outputs[0].name]


def kept(store: Store) -> list[Path]:
    return sorted(path for path in (store.folder / KIND).glob("*/*"))


def is_all_cached(model: nnc.Model) -> bool:
    return "schedule" not in model.timings.seconds and "emit" not in model.timings.seconds


def test_build_keeps_kernels_too(tmp_path: Path) -> None:
    """A graph that was built compiles nothing again, nor does a model of the same kernels."""
    store = Store(tmp_path)
    shape = {"x": (5, 48), "w": (48, 48)}
    symbol = sym.relu(sym.matmul(sym.Variable("x"), sym.Variable("w")))
    nnc.build(symbol, shape=shape, cache=store)
    assert len(kept(store)) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("nnc.compiler.kernels.schedule_kernel")
        graph, library, _ = nnc.build(symbol, shape=shape, cache=store)
        assert is_all_cached(compiled(store))
    module = nnc.runtime.create(graph, library, nnc.cpu(0))
    module.run(x=X, w=WEIGHTS[0])
    np.testing.assert_allclose(
        module.get_output(0), np.maximum(X @ WEIGHTS[0], 0), rtol=1e-5, atol=1e-4
    )


def test_a_model_that_shares_kernels_compiles_what_is_new(tmp_path: Path) -> None:
    """Two equal kernels are one file; another end makes one more; results are the same bits."""
    store = Store(tmp_path)
    first = compiled(store)
    assert not is_all_cached(first)
    assert len(kept(store)) == 1
    again = compiled(store)
    assert is_all_cached(again)
    np.testing.assert_array_equal(result(again), result(compiled(False)))
    other = compiled(store, "sigmoid")
    assert len(kept(store)) == 2
    np.testing.assert_array_equal(result(other), result(compiled(False, "sigmoid")))
    assert is_all_cached(compiled(store, "sigmoid"))


def test_a_model_with_other_weights_compiles_no_kernel(tmp_path: Path) -> None:
    store = Store(tmp_path)
    text = """
    func.func @main(%x: tensor<5x48xf32>) -> tensor<5x48xf32> {
      %w = graph.constant #graph.weight<"DIGEST"> : tensor<48x48xf32>
      %y = graph.matmul(%x, %w) : tensor<5x48xf32>
      func.return %y
    }
    """
    for number, array in enumerate(WEIGHTS):
        module = nnc.parse(text.replace("DIGEST", f"{number}"))
        ((_, weight),) = weights_of(module)
        weight.array = array
        model = nnc.compile(module, cache=store)
        assert is_all_cached(model) == (number > 0)
        np.testing.assert_allclose(model(x=X)["y"], X @ array, rtol=1e-4, atol=1e-4)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "truncated": lambda content: content[:100],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_kernel_is_made_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    expected = result(compiled(store))
    (file,) = kept(store)
    content = file.read_bytes()
    file.unlink()  # files are mapped: they are never changed in place
    file.write_bytes(DAMAGES[damage](content))
    model = compiled(store)
    assert not is_all_cached(model)
    np.testing.assert_array_equal(result(model), expected)
    assert is_all_cached(compiled(store))


def test_a_kernel_under_another_name_is_not_taken(tmp_path: Path) -> None:
    """Whole files, checksums that hold, of other kernels: of another end, and of other extents."""
    store = Store(tmp_path)
    expected = result(compiled(store))
    (file,) = kept(store)
    mine = file.read_bytes()
    compiled(store, "sigmoid")
    (other,) = {path for path in kept(store) if path != file}
    file.unlink()
    file.write_bytes(other.read_bytes())
    model = compiled(store)
    assert not is_all_cached(model)
    np.testing.assert_array_equal(result(model), expected)
    assert file.read_bytes() == mine


def changed(content: bytes, find: bytes, replace: bytes) -> bytes:
    """The payload with a part of its description changed, of the length that it says."""
    assert find in content
    start = 64 + 8
    length = int.from_bytes(content[64:start], "little")
    text = content[start : start + length].replace(find, replace)
    return content[:64] + len(text).to_bytes(8, "little") + text + content[start + length :]


FORMS = {
    "another extent": (b"5 : i64, 48 : i64", b"6 : i64, 48 : i64"),
    "no buffer": (b"!loop.buffer<", b"tensor<"),
    "no type": (b"!loop.buffer<", b"!loop.buffers<"),
    "no object": (b'["_Description"', b'["Description"'),
    "no JSON": (b'["_Description"', b'"_Description"'),
    "an argument fewer": (b'["!loop.buffer', b'[], ["!loop.buffer'),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_description_of_another_form_is_not_taken(tmp_path: Path, form: str) -> None:
    """Its checksum holds and its key is right: no error reaches the user."""
    store = Store(tmp_path)
    expected = result(compiled(store))
    (file,) = kept(store)
    content = store.read(KIND, file.name)
    assert content is not None
    store.write(KIND, file.name, [changed(bytes(content), *FORMS[form])], replace=True)
    model = compiled(store)
    assert not is_all_cached(model)
    np.testing.assert_array_equal(result(model), expected)


def test_threads_share_kernels_and_numerics_and_targets_do_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    compiled(store, threads=1)
    assert is_all_cached(compiled(store, threads=2))
    assert not is_all_cached(compiled(store, numerics="strict"))
    assert is_all_cached(compiled(store, numerics="strict"))
    assert not is_all_cached(compiled(store, target="x86-64-v3"))


def test_another_compiler_has_other_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    compiled(store)
    with monkeypatch.context() as patch:
        patch.setattr(kernel_cache, "fingerprint", lambda: "another version")
        assert not is_all_cached(compiled(store))
    with monkeypatch.context() as patch:
        patch.setattr(extensions, "fingerprint", lambda: "a user's schedule")
        assert not is_all_cached(compiled(store))
    count = len(kept(store))
    with monkeypatch.context() as patch:
        patch.setattr(extensions, "fingerprint", lambda: None)
        assert not is_all_cached(compiled(store))
    assert len(kept(store)) == count == 3
    assert is_all_cached(compiled(store))


def test_what_was_made_on_the_way_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    compiled(store)
    model = compiled(store)
    assert is_all_cached(model)
    made = model.compiled
    assert made is not None
    assert made.kernels.schedules
    assert set(made.kernels.schedules) == set(made.kernels.symbols.values())


def test_kernels_are_bounded_too(tmp_path: Path) -> None:
    """Those that were used longest ago go."""
    store = Store(tmp_path)
    compiled(store)
    size = sum(path.stat().st_size for path in kept(store))
    store.limit = 3 * size
    for last in ("sigmoid", "tanh", "exp", "neg", "sqrt"):
        compiled(store, last)
    assert sum(path.stat().st_size for path in kept(store)) <= store.limit
    assert 1 <= len(kept(store)) < 6
