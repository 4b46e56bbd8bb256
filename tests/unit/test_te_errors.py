"""What a tensor expression is refused for: one message, at the user's line."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from nnc import te
from nnc.core.errors import ExpressionError, NncError

x = te.placeholder((4, 5), name="x")
v = te.placeholder((5,), name="v")
n = te.placeholder((4, 5), "int32", "n")
k = te.reduce_axis((0, 5), name="k")
q = te.reduce_axis((0, 4), name="q")


def reused() -> Any:
    """An axis and an element that have left their compute."""
    kept: list[Any] = []

    def body(i: Any) -> Any:
        kept.extend([i, v[i]])
        return v[i]

    te.compute((5,), body)
    return kept


def combined(combine: Callable[[Any, Any], Any], start: Any, *values: Any) -> Any:
    def identity(*_: str) -> Any:
        return start

    return te.comm_reducer(combine, identity)(values, axis=k)


def three(a: Any, b: Any) -> Any:
    return a[0], b[0], a[0]


def twice_the_first(a: Any, _: Any) -> Any:
    return a[0], a[0]


def smaller(_: Any, s: te.Tensor) -> te.Tensor:
    return s[:4]


def nested(_: Any, s: te.Tensor) -> te.Tensor:
    return te.scan(1, s, shifted)[0] + 0.0


def shifted(t: Any, s: te.Tensor) -> te.Tensor:
    return te.compute((5,), lambda i: s[i] + t.cast(s.dtype))


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "too few indices": (
        lambda: te.compute((4,), lambda i: x[i]),
        "expected an element or a number, got <nnc",
    ),
    "too many indices": (
        lambda: te.compute((4, 5), lambda i, j: x[i, j, 0]),
        "3 indices for 'x', whose rank is 2 (shape [4, 5])",
    ),
    "one index read": (
        lambda: te.compute((4,), lambda i: x.read((i,))),
        "1 index for 'x', whose rank is 2",
    ),
    "another index type": (
        lambda: te.compute((4,), lambda i: x[i, cast("Any", "j")]),
        "an index is an axis, an integer, an element or a slice, got 'j'",
    ),
    "a float index": (lambda: te.compute((4,), lambda i: v[x[i, 0]]), "float32 is no index"),
    "outside": (
        lambda: te.compute((4, 5), lambda i, j: x[i, j + 1]),
        "index 1 of 'x' is 1 to 5, outside of a dimension of 5",
    ),
    "one outside": (lambda: te.compute((4,), lambda i: x[i, 7]), "index 1 of 'x' is 7, outside"),
    "guarded in one place only": (
        lambda: te.compute((5,), lambda i: te.if_then_else(i > 0, v[i - 1], 0) + v[i - 1]),
        "index 0 of 'v' is -1 to 3",
    ),
    "the condition itself is outside": (
        lambda: te.compute((5,), lambda i: te.if_then_else(v[i - 1] > 0, v[i], 0)),
        "index 0 of 'v' is -1 to 3",
    ),
    "select guards nothing": (
        lambda: te.compute((5,), lambda i: te.select(i > 0, v[i - 1], 0)),
        "index 0 of 'v' is -1 to 3",
    ),
    "types differ": (
        lambda: te.compute((4, 5), lambda i, j: x[i, j] + n[i, j]),
        "operands of float32 and int32",
    ),
    "tensors' types differ": (lambda: x + n, "operands of float32 and int32"),
    "a number that the type has not": (
        lambda: te.compute((4, 5), lambda i, j: n[i, j] * 0.5),
        "0.5 is no int32",
    ),
    "a number that is too large": (lambda: n + 2**40, "1099511627776 is no int32"),
    "shapes": (lambda: x + te.placeholder((3,)), "shapes [4, 5], [3] do not broadcast"),
    "no such function": (lambda: te.exp(n), "exp of int32 is not defined"),
    "no real floor division": (lambda: x // 2.0, "floordiv of float32 is not defined"),
    "a nested reduction": (
        lambda: te.compute((4,), lambda i: te.sum(x[i, k], axis=k) * 2.0),
        "a reduction stands inside an expression",
    ),
    "a reduction on the right": (
        lambda: te.compute((4,), lambda i: x[i, 0] + te.sum(x[i, k], axis=k)),
        "a reduction stands inside an expression",
    ),
    "a reduction of a reduction": (
        lambda: te.compute((), lambda: te.sum(te.sum(x[q, k], axis=k), axis=q)),
        "a reduction of a reduction",
    ),
    "an element and a reduction": (
        lambda: te.compute((4,), lambda i: (te.sum(x[i, k], axis=k), x[i, 0])),
        "all elements, or all reductions over the same axes",
    ),
    "an axis without reduction": (
        lambda: te.compute((4,), lambda i: x[i, k]),
        "reduce axis 'k' is used, but no reduction runs over it",
    ),
    "an axis of no reduction": (
        lambda: te.compute((), lambda: te.sum(x[q, k], axis=q)),
        "reduce axis 'k' is used, but no reduction runs over it",
    ),
    "no axis": (
        lambda: te.compute((4,), lambda i: te.sum(x[i, 0])),
        "an element is reduced over axes that reduce_axis made, got axis=None",
    ),
    "a number as axis": (
        lambda: te.compute((4,), lambda i: te.sum(x[i, k], axis=1)),
        "an element is reduced over axes that reduce_axis made, got axis=1",
    ),
    "an axis twice": (
        lambda: te.compute((4,), lambda i: te.sum(x[i, k], axis=(k, k))),
        "a reduce axis is named twice",
    ),
    "no such dimension": (lambda: te.sum(x, axis=2), "'x' of rank 2 has no dimension 2"),
    "a dimension twice": (lambda: te.sum(x, axis=(1, -1)), "a dimension is named twice: [1, -1]"),
    "the sum of conditions": (lambda: te.sum(x > 0), "sum combines numbers, got bool"),
    "all of numbers": (lambda: te.all(x, axis=1), "all combines bool, got float32"),
    "the mean of integers": (lambda: te.mean(n), "the mean of integers"),
    "an element's truth": (
        lambda: te.compute((4,), lambda i: 1.0 if x[i, 0] > 0 else 0.0),
        "an element is true or false only when the kernel runs",
    ),
    "an axis's truth": (
        lambda: te.compute((4,), lambda i: 1.0 if 0 < cast("Any", i) < 3 else 0.0),
        "an element is true or false only when the kernel runs",
    ),
    "a condition that is a number": (
        lambda: te.compute((4,), lambda i: te.if_then_else(x[i, 0], 1.0, 0.0)),
        "a condition is bool, got float32",
    ),
    "the number of indices": (
        lambda: te.compute((4, 5), lambda i: x[i, 0]),
        "the function takes 1 index, the shape has 2 dimensions",
    ),
    "nothing returned": (
        lambda: te.compute((4,), lambda i: cast("Any", None)),
        "expected an element or a number, got None",
    ),
    "a tensor returned": (
        lambda: te.compute((4,), lambda i: cast("Any", x)),
        "expected an element or a number, got <Tensor x: 4x5xf32>",
    ),
    "an element of nowhere": (lambda: x[0, 0], "elements and axes exist inside a compute only"),
    "a reduce axis of nowhere": (lambda: k + 1, "elements and axes exist inside a compute only"),
    "an axis of another compute": (
        lambda: te.compute((5,), lambda i: v[reused()[0]]),
        "an axis of another compute",
    ),
    "an element of another compute": (
        lambda: te.compute((5,), lambda i: v[i] + reused()[1]),
        "an element of another compute",
    ),
    "only an element of another compute": (
        lambda: te.compute((5,), lambda i: reused()[1]),
        "an element of another compute",
    ),
    "a negative extent": (lambda: te.placeholder((3, -1)), "an extent is at least 0, got [3, -1]"),
    "a symbolic extent": (
        lambda: te.placeholder(cast("Any", ("n",))),
        "an extent is an integer, got 'n'",
    ),
    "a name": (lambda: te.placeholder((3,), name="my x"), "'my x' is no name"),
    "a compute's name": (lambda: te.compute((3,), lambda i: 1.0, name="c.i"), "'c.i' is no name"),
    "a dtype": (lambda: te.placeholder((3,), "complex64"), "dtype complex64 is not supported"),
    "a range": (lambda: te.reduce_axis((3, 1)), "the range of an axis is (low, high), got (3, 1)"),
    "an axis's name": (lambda: te.reduce_axis((0, 1), name="mod"), "'mod' cannot name an axis"),
    "a combiner's result": (
        lambda: te.compute((4,), lambda i: combined(three, (0, 0), x[i, k], k)),
        "the combiner of 'reduce' returns 3 values for 2",
    ),
    "a combiner's identity": (
        lambda: te.compute((4,), lambda i: combined(three, 0, x[i, k], k)),
        "the identity of 'reduce' returns 1 values for 2",
    ),
    "a combiner's types": (
        lambda: te.compute((4,), lambda i: combined(twice_the_first, (0, 0), x[i, k], n[i, k])),
        "the combiner returns (f32, f32), it combines (f32, i32)",
    ),
    "a matrix product": (lambda: te.matmul(x, x), "the inner dimensions of [4, 5] and [4, 5] dif"),
    "a reshape": (lambda: te.reshape(x, (3, 7)), "[4, 5] has 20 elements, [3, 7] has 21"),
    "an open reshape": (lambda: te.reshape(x, (3, -1)), "[4, 5] cannot take the shape [3, -1]"),
    "an order": (lambda: te.transpose(x, (0, 0)), "[0, 0] is no order of 2 dimensions"),
    "nothing to join": (lambda: te.concatenate([]), "nothing to concatenate"),
    "a join": (lambda: te.concatenate([x, v]), "cannot concatenate f32[4, 5], f32[5] along"),
    "a squeeze": (lambda: te.squeeze(x, 0), "a dimension of [4, 5] that is squeezed is not 1"),
    "widths": (lambda: te.pad(x, [(1, 1)]), "1 pairs of widths for rank 2"),
    "a scan's state": (
        lambda: te.scan(3, v, smaller),
        "the scan's states are f32[5], its function returns f32[4]",
    ),
    "a scan in a scan": (
        lambda: te.scan(3, v, nested),
        "'scan' in the function of a scan belongs to another scan",
    ),
    "no output": (lambda: te.create_schedule([]), "a kernel has at least one output"),
    "an output twice": (lambda: te.create_kernel([y := x + 1, y]), "an output stands twice"),
    "a placeholder as output": (lambda: te.create_kernel(x), "the output 'x' is a placeholder"),
    "an input that is missing": (
        lambda: te.create_kernel(x + v, [x]),
        "the kernel reads 'v', not among its inputs",
    ),
    "an input that is computed": (
        lambda: te.create_kernel(x + v, [x, v, v + 1]),
        "the input 'add' is computed, not a placeholder",
    ),
    "an input twice": (lambda: te.create_kernel(x + v, [x, v, v]), "an input stands twice"),
}


@pytest.mark.parametrize("name", CASES)
def test_refusal(name: str) -> None:
    run, message = CASES[name]
    with pytest.raises(NncError, match=re.escape(message)) as caught:
        run()
    file, line, _ = (caught.value.where or "").rsplit(":", 2)
    assert file == __file__
    assert int(line) < test_refusal.__code__.co_firstlineno, "the line is not that of the case"


def test_the_line_is_the_one_in_the_function() -> None:
    def body(i: Any, j: Any) -> Any:
        first = x[i, j]
        return first + n[i, j]  # here

    with pytest.raises(ExpressionError) as caught:
        te.compute((4, 5), body)
    line = next(
        number
        for number, text in enumerate(Path(__file__).read_text().splitlines(), 1)
        if text.endswith("# here")
    )
    assert caught.value.where == f"{__file__}:{line}:16"


def test_ops_know_the_line_of_their_compute() -> None:
    from nnc.core.locations import describe

    y = te.compute((4, 5), lambda i, j: x[i, j] + 1)
    kernel = te.create_kernel(y).op
    for op in kernel.body.block.walk():
        assert describe(op).startswith(f"{__file__}:")


def test_states_and_inner_computes_stay_in_their_scan() -> None:
    kept: list[te.Tensor] = []

    def step(_: Any, s: te.Tensor) -> te.Tensor:
        kept.extend([s, s + 1.0])
        return kept[1]

    h = te.scan(3, v, step, name="h")
    for inner in kept:
        with pytest.raises(ExpressionError, match="exists inside a scan only"):
            te.create_kernel(inner + 1.0)
    got = te.build(h, [v, h])(np.zeros(5, np.float32))
    np.testing.assert_array_equal(got, np.repeat(np.arange(1, 4)[:, None], 5, 1))
