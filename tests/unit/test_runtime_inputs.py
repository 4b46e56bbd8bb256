"""What a caller may give as inputs, and what the refusals say."""

from __future__ import annotations

import numpy as np
import pytest

from nnc.core.errors import InputError
from nnc.runtime.arrays import aligned_empty, is_ready
from nnc.runtime.inputs import accept, as_array, check_names, check_shape, joined
from nnc.runtime.program import TensorSpec

F32 = np.dtype(np.float32)
SPEC = TensorSpec("image", (2, 3), F32)
CONTENT = np.arange(6, dtype=np.float32).reshape(2, 3)


def misaligned() -> np.ndarray:
    raw = aligned_empty((7,), F32)[1:].reshape(2, 3)
    raw[...] = CONTENT
    return raw


def read_only() -> np.ndarray:
    array = aligned_empty((2, 3), F32)
    array[...] = CONTENT
    array.flags.writeable = False
    return array


GIVEN = {
    "transposed": np.asfortranarray(CONTENT),
    "strided": np.repeat(CONTENT, 2, axis=1)[:, ::2],
    "negative stride": CONTENT[::-1].copy()[::-1],
    "big endian": CONTENT.astype(">f4"),
    "misaligned": misaligned(),
    "read only": read_only(),
    "list": CONTENT.tolist(),
    "integers in a list": [[0, 1, 2], [3, 4, 5]],
}


@pytest.mark.parametrize("name", GIVEN)
def test_any_array_of_the_right_content_is_taken(name: str):
    array = accept(SPEC, GIVEN[name])
    assert is_ready(array)
    assert array.dtype == F32
    np.testing.assert_array_equal(array, CONTENT)


def test_a_ready_array_is_not_copied():
    array = read_only()
    assert accept(SPEC, array) is array


def test_scalars_and_empty_arrays():
    assert accept(TensorSpec("s", (), F32), 2.5).shape == ()
    assert accept(TensorSpec("s", (), np.dtype(np.bool_)), True) == np.True_
    assert accept(TensorSpec("e", (0, 4), F32), np.empty((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (CONTENT.astype(np.float64), "expected dtype float32, got float64", "astype('float32')"),
        (CONTENT[0], "expected rank 2, got rank 1", "the array's [3]"),
        (CONTENT.T.copy(), "expected shape [2, 3], got [3, 2]", "0 (expected 2, got 3)"),
        ("picture.png", "expected an array of float32, got str", None),
        ({"x": CONTENT}, "expected an array of float32, got dict", None),
        (CONTENT.astype(object), "expected dtype float32, got object", "astype('float32')"),
        ([[None] * 3] * 2, "not an array of float32: expected numbers", None),
        (np.ma.masked_less(CONTENT, 2.0), "some of its elements are masked", ".filled(0)"),
        ([[1.0, 2.0], [3.0]], "not an array of float32", None),
        (None, "expected an array of float32, got NoneType", None),
    ],
)
def test_wrong_values_are_refused_with_what_was_expected(
    value: object, message: str, hint: str | None
):
    with pytest.raises(InputError) as caught:
        accept(SPEC, value)
    assert caught.value.where == "input 'image'"
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


def test_integers_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="not an array of uint8"):
        as_array("x", [300], np.dtype(np.uint8))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([1.5, 2], np.int64), ([2, 0], np.bool_), (["a"], np.bool_), ([float("nan")], np.int32)],
)
def test_numbers_are_not_rounded_silently(values: list[object], dtype: type[np.generic]):
    with pytest.raises(InputError, match=f"not an array of {np.dtype(dtype).name}"):
        as_array("x", values, np.dtype(dtype))


def test_numbers_that_fit_are_taken():
    assert as_array("x", [1, 0], np.dtype(np.bool_)).tolist() == [True, False]
    assert as_array("x", [1.0, -2.0], np.dtype(np.int8)).tolist() == [1, -2]
    assert as_array("x", [1 << 70], F32).tolist() == [2.0**70]
    unmasked = np.ma.array(CONTENT, mask=False)
    np.testing.assert_array_equal(as_array("x", unmasked, F32), CONTENT)


def test_a_named_extent_takes_any_number():
    check_shape("x", (5, 3), ("batch", 3))
    with pytest.raises(InputError, match="expected shape"):
        check_shape("x", (5, 4), ("batch", 3))


def test_wrong_names_are_listed_with_the_nearest_ones():
    with pytest.raises(InputError) as caught:
        check_names({"imge": 0, "mask": 0}, ["image", "mask", "scale"])
    assert "missing 'image', 'scale'" in caught.value.message
    assert "no input is called 'imge'" in caught.value.message
    assert caught.value.hint == "did you mean 'image'?"
    with pytest.raises(InputError) as caught:
        check_names({}, ["image"])
    assert caught.value.hint == "the inputs are 'image'"


def test_inputs_are_joined_with_keywords():
    assert joined(None, {"x": 1}) == {"x": 1}
    assert joined({"x": 1}, {"y": 2}) == {"x": 1, "y": 2}


@pytest.mark.parametrize("given", [CONTENT, [CONTENT], "image"])
def test_arrays_without_names_are_refused(given: object):
    with pytest.raises(InputError, match="expected arrays by name, got") as caught:
        joined(given, {})  # pyright: ignore[reportArgumentType]
    assert caught.value.hint == 'give a dict, as {"x": array}'
