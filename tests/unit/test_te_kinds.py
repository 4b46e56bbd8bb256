"""Things of another kind than a tensor expression or its schedule takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnc
from nnc import te

P = te.placeholder


def text(*_: object) -> str:
    return "a"


def nothing(*_: object) -> None:
    pass


KINDS: dict[str, Callable[[], object]] = {
    "expected a dtype, got None": lambda: P((3,), dtype=wrong(None)),
    "3 is no name": lambda: P((3,), name=wrong(3)),
    "expected a function, got None": lambda: te.compute((3,), wrong(None)),
    "expected an element or a number, got 'a'": lambda: te.compute((3,), wrong(text)),
    "expected a tensor, got array": lambda: te.scan(3, wrong(np.ones(3)), wrong(nothing)),
    "expected a tensor, got None": lambda: te.scan(3, P((3,)), wrong(nothing)),
    "expected a tensor, got 'y'": lambda: te.create_kernel(wrong(["y"])),
    "expected a tensor, got [0, 1]": lambda: te.take(P((4,)), wrong([0, 1])),
    "expected a tensor, got 2": lambda: te.matmul(P((4, 4)), wrong(2)),
    "expected pairs of widths, got 3": lambda: te.pad(P((4,)), wrong(3)),
    "expected a list of tensors as args": lambda: te.build(ONE, wrong(ONE)),
    "expected a tensor as argument of build, got 'x'": lambda: te.build(ONE, wrong(["x", ONE])),
    "expected arrays by tensor as params": lambda: te.build(ONE, [ONE], params=wrong([1])),
    "expected a schedule, got None": lambda: te.lower(wrong(None)),
}
ONE = te.compute((8,), lambda i: 1.0, name="one")
STEPS: dict[str, Callable[[te.Schedule], object]] = {
    "expected a tensor, got None": lambda s: s[wrong(None)],
    "expected a loop, got 3": lambda s: s[ONE].vectorize(wrong(3)),
    "expected a loop, got ['i']": lambda s: s[ONE].reorder(wrong(["i"])),
    "expected a stage, got 'one'": lambda s: s[ONE].compute_at(wrong("one"), "i"),
    "expected a number or a choice, got 2.5": lambda s: s[ONE].split("i", wrong(2.5)),
    "set_scope: expected a name as space, got None": lambda s: s[ONE].set_scope(wrong(None)),
    "axis 'j' is of no compute of this schedule": lambda s: s[ONE].unroll(
        te.compute((3,), lambda j: 1.0).op.axis[0]
    ),
}


def wrong(given: object) -> Any:
    """What the types would not let pass."""
    return given


@pytest.mark.parametrize("message", KINDS)
def test_things_of_another_kind_are_named(message: str):
    with pytest.raises(nnc.NncError) as caught:
        KINDS[message]()
    assert message in str(caught.value)


@pytest.mark.parametrize("message", STEPS)
def test_schedules_name_what_is_no_loop_or_tensor(message: str):
    with pytest.raises(nnc.NncError) as caught:
        STEPS[message](te.create_schedule(ONE))
    assert message in str(caught.value)


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_params_of_any_byte_order_are_copied(dtype: str):
    size = 40000
    x, w = te.placeholder((size,), name="x"), te.placeholder((size,), name="w", const=True)
    y = te.compute((size,), lambda i: x[i] + w[i], name="y")
    content = np.arange(size).astype(dtype)
    f = te.build(y, [x, y], params={w: content})
    content[:] = 0
    np.testing.assert_array_equal(f(np.ones(size, np.float32)), np.arange(size) + 1)
