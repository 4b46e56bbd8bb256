"""Every operator of the symbol API gives NumPy's answer, by the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from symbols import Draws, run

import nnc.symbol as sym

Array = np.ndarray[Any, Any]


DRAWS = Draws(5)
floats, positive = DRAWS.floats, DRAWS.positive


A, B, ROW = floats(2, 3, 4), floats(2, 3, 4), floats(4)
IMAGE = floats(2, 4, 6, 6)
NHWC = IMAGE.transpose(0, 2, 3, 1)
KERNEL, BIAS = floats(8, 4, 3, 3), floats(8)
COUNTS = np.arange(24, dtype=np.uint32).reshape(2, 3, 4)


def conv(x: Array, w: Array, b: Array, stride: int = 1, pad: int = 0) -> Array:
    """A convolution, written out."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    found = np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], w)
    return found + b[:, None, None]


def pooled(x: Array, reduce: Callable[..., Array]) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (2, 3))
    return reduce(windows[:, :, ::2, ::2], axis=(-2, -1))


def softmax(x: Array, axis: int = -1) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


Expected = (
    Callable[[], Any]
    | Callable[[Any], Any]
    | Callable[[Any, Any], Any]
    | Callable[[Any, Any, Any], Any]
    | Callable[[Any, Any, Any, Any, Any], Any]
)
"""NumPy's answer to one to five inputs."""


@dataclass(frozen=True)
class Case:
    """Inputs and attributes of an operator, and NumPy's answer."""

    inputs: Sequence[Array]
    expected: Expected
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])


def comparison(function: Callable[..., Array]) -> Callable[[Array, Array], Array]:
    return lambda a, b: function(a, b).astype(a.dtype)


def choose(condition: Array, x: Array, y: Array) -> Array:
    return np.where(condition, x, y)


def without_axis_1(function: Callable[..., Array]) -> Callable[[Array], Array]:
    return lambda x: function(x, (0, 2))


def along_1(function: Callable[..., Array], **options: bool) -> Callable[[Array], Array]:
    return lambda x: function(x, 1, **options)


def position(function: Callable[..., Any], axis: int | None = None) -> Callable[[Array], Array]:
    return lambda x: np.asarray(function(x, axis), np.int32)


def batch_norm(x: Array, g: Array, b: Array, m: Array, v: Array) -> Array:
    g, b, m, v = (each[:, None, None] for each in (g, b, m, v))
    return (x - m) / np.sqrt(v + 1e-5) * g + b


WITH_THREE: dict[str, Callable[[Any], Any]] = {
    "add": lambda x: x + 3,
    "sub": lambda x: x - 3,
    "rsub": lambda x: 3 - x,
    "mul": lambda x: x * 3,
    "div": lambda x: x / 3,
    "rdiv": lambda x: 3 / x,
    "pow": lambda x: x**3,
    "rpow": lambda x: 3**x,
}

CASES: dict[str, list[Case]] = {
    "dense": [
        Case([floats(2, 3), floats(5, 3), floats(5)], lambda x, w, b: x @ w.T + b, {"units": 5}),
        Case([A, floats(5, 4)], lambda x, w: x @ w.T, {"units": 5, "use_bias": False}),
    ],
    "matmul": [
        Case([floats(2, 3), floats(3, 4)], np.matmul),
        Case([floats(3, 2), floats(3, 4)], lambda a, b: a.T @ b, {"transpose_a": True}),
        Case([floats(2, 3), floats(4, 3)], lambda a, b: a @ b.T, {"transpose_b": "True"}),
    ],
    "relu": [Case([A], lambda x: np.maximum(x, 0))],
    "leaky_relu": [Case([A], lambda x: np.maximum(x, 0.25 * x))],
    "prelu": [
        Case([A, floats(3)], lambda x, a: np.maximum(x, 0) + a[:, None] * np.minimum(x, 0)),
        Case([A, ROW], lambda x, a: np.maximum(x, 0) + a * np.minimum(x, 0), {"axis": -1}),
    ],
    "tanh": [Case([A], np.tanh)],
    "sigmoid": [Case([A], lambda x: 1 / (1 + np.exp(-x)))],
    "exp": [Case([A], np.exp)],
    "log": [Case([positive(3, 4)], np.log)],
    "sqrt": [Case([positive(3, 4)], np.sqrt)],
    "negative": [Case([A], np.negative)],
    "floor": [Case([A], np.floor)],
    "ceil": [Case([A], np.ceil)],
    "abs": [Case([A], np.abs)],
    "round": [
        Case(
            [np.array([-1.5, -0.5, 0.4, 0.5, 1.5, 2.5], np.float32)],
            lambda _: np.array([-2, -1, 0, 1, 2, 3], np.float32),
        )
    ],
    "trunc": [Case([A], np.trunc)],
    "clip": [Case([A], lambda x: np.clip(x, -1, 0.5), {"a_min": -1.0, "a_max": 0.5})],
    "softmax": [Case([A], softmax), Case([A], lambda x: softmax(x, 1), {"axis": 1})],
    "log_softmax": [Case([A], lambda x: np.log(softmax(x)))],
    "batch_norm": [
        Case([IMAGE, floats(4), floats(4), floats(4), positive(4)], batch_norm),
        Case(
            [NHWC, floats(4), floats(4), floats(4), positive(4)],
            lambda x, g, b, m, v: (x - m) / np.sqrt(v + 1e-5) + b,
            {"axis": 3, "scale": False},
        ),
        Case(
            [NHWC, floats(4), floats(4), floats(4), positive(4)],
            lambda x, g, b, m, v: (x - m) / np.sqrt(v + 1e-5) * g,
            {"axis": 3, "center": False},
        ),
    ],
    "dropout": [Case([A], lambda x: x, {"rate": 0.9})],
    "block_grad": [Case([A], lambda x: x)],
    "copy": [Case([A], lambda x: x)],
    "cast": [Case([A], lambda x: x.astype(np.int32), {"dtype": "int32"})],
    "concatenate": [
        Case([A, B], lambda a, b: np.concatenate([a, b], 1)),
        Case([A], lambda a: a, {"axis": 0}),
    ],
    "split": [
        Case([A], lambda x: np.split(x, 2, 2), {"indices_or_sections": 2, "axis": 2}),
        Case([A], lambda x: np.split(x, [1, 3], 2), {"indices_or_sections": (1, 3), "axis": 2}),
    ],
    "l2_normalize": [
        Case(
            [A],
            lambda x: x / np.sqrt(np.maximum((x * x).sum(1, keepdims=True), 1e-6)),
            {"eps": 1e-6, "axis": (1,)},
        )
    ],
    "lrn": [
        Case(
            [floats(1, 1, 2, 2)],
            lambda x: x / (1 + 0.5 / 3 * x * x) ** 0.75,
            {"size": 3, "alpha": 0.5, "bias": 1.0},
        )
    ],
    "conv2d": [
        Case([IMAGE, KERNEL, BIAS], conv, {"channels": 8, "kernel_size": (3, 3)}),
        Case(
            [IMAGE, KERNEL, BIAS],
            lambda x, w, b: conv(x, w, b, 2, 1),
            {"channels": 8, "kernel_size": 3, "strides": (2, 2), "padding": (1, 1)},
        ),
        Case(
            [NHWC, KERNEL.transpose(2, 3, 1, 0)],
            lambda x, w: conv(
                x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), np.zeros(8)
            ).transpose(0, 2, 3, 1),
            {
                "channels": 8,
                "kernel_size": (3, 3),
                "layout": "NHWC",
                "kernel_layout": "HWIO",
                "use_bias": False,
            },
        ),
    ],
    "conv2d_transpose": [
        Case(
            [floats(1, 2, 3, 3), np.ones((2, 1, 2, 2), np.float32), np.zeros(1, np.float32)],
            lambda x, w, b: np.repeat(np.repeat(x.sum(1, keepdims=True), 2, 2), 2, 3),
            {"channels": 1, "kernel_size": (2, 2), "strides": (2, 2)},
        )
    ],
    "max_pool2d": [
        Case([IMAGE], lambda x: pooled(x, np.max), {"pool_size": (2, 2), "strides": (2, 2)})
    ],
    "avg_pool2d": [
        Case([IMAGE], lambda x: pooled(x, np.mean), {"pool_size": (2, 2), "strides": (2, 2)})
    ],
    "global_max_pool2d": [Case([IMAGE], lambda x: x.max((2, 3), keepdims=True))],
    "global_avg_pool2d": [
        Case([NHWC], lambda x: x.mean((1, 2), keepdims=True), {"layout": "NHWC"})
    ],
    "upsampling": [Case([IMAGE], lambda x: x.repeat(2, 2).repeat(2, 3), {"scale": 2})],
    "resize": [
        Case(
            [IMAGE],
            lambda x: x.repeat(2, 2).repeat(3, 3),
            {"size": (12, 18), "method": "NEAREST_NEIGHBOR"},
        )
    ],
    "flatten": [Case([A], lambda x: x.reshape(2, 12))],
    "expand_dims": [
        Case([A], lambda x: x[:, None, None], {"axis": 1, "num_newaxis": 2}),
        Case([A], lambda x: x[..., None, None], {"axis": -1, "num_newaxis": 2}),
    ],
    "squeeze": [
        Case([floats(1, 3, 1)], lambda x: x[0, :, 0]),
        Case([floats(1, 3, 1)], lambda x: x[..., 0], {"axis": -1}),
    ],
    "reshape": [Case([A], lambda x: x.reshape(2, 12), {"shape": (0, -1)})],
    "transpose": [
        Case([A], lambda x: x.T),
        Case([A], lambda x: x.transpose(1, 0, 2), {"axes": (1, 0, 2)}),
    ],
    "flip": [Case([A], lambda x: x[:, ::-1], {"axis": 1})],
    "pad": [
        Case(
            [ROW],
            lambda x: np.pad(x, ((1, 2),), constant_values=7),
            {"pad_width": ((1, 2),), "pad_value": 7.0},
        )
    ],
    "take": [
        Case([A, np.array([[5, 0]])], lambda x, i: x.ravel()[i]),
        Case([A, np.array([2, 0])], lambda x, i: x[:, i], {"axis": 1}),
    ],
    "gather_nd": [Case([A, np.array([[0, 1], [2, 0]])], lambda x, i: x[i[0], i[1]])],
    "where": [
        Case(
            [np.array([1.0, 0.0, 2.0, 0.0], np.float32), ROW, -ROW],
            choose,
        )
    ],
    "broadcast_to": [Case([ROW], lambda x: np.broadcast_to(x, (3, 4)), {"shape": (3, 4)})],
    "expand_like": [
        Case([floats(2, 4), A], lambda x, y: np.broadcast_to(x[:, None], y.shape), {"axis": (1,)}),
        Case(
            [floats(2, 4), A],
            lambda x, y: np.broadcast_to(x[:, None], y.shape),
            {"axis": (0, 2), "exclude": True},
        ),
    ],
    "reshape_like": [Case([floats(24), A], lambda x, y: x.reshape(y.shape))],
    "full": [
        Case(
            [],
            lambda: np.full((2, 3), 7, np.int32),
            {"shape": (2, 3), "dtype": "int32", "fill_value": 7.0},
        )
    ],
    "ones": [Case([], lambda: np.ones((2, 3), np.float32), {"shape": (2, 3)})],
    "zeros": [Case([], lambda: np.zeros(4, np.float32), {"shape": 4})],
    "full_like": [Case([A], lambda x: np.full_like(x, 3), {"fill_value": 3.0})],
    "ones_like": [Case([COUNTS], np.ones_like)],
    "zeros_like": [Case([A], np.zeros_like)],
    "slice_like": [
        Case([A, floats(1, 2, 3)], lambda x, y: x[:1, :2, :3]),
        Case([A, floats(1, 2, 3)], lambda x, y: x[:, :, :3], {"axis": (2,)}),
    ],
    "strided_slice": [
        Case([A], lambda x: x[0:2, 2:0:-1], {"begin": (0, 2), "end": (2, 0), "stride": (1, -1)}),
        Case([A], lambda x: x[1:], {"begin": 1, "end": 2}),
    ],
    "collapse_sum": [Case([A, floats(3, 1)], lambda x, y: x.sum(0).sum(1, keepdims=True))],
    "elemwise_sum": [Case([A, B, A], lambda a, b, c: a + b + c, {"num_args": 3})],
    **{
        name: [
            Case([A], function),
            Case([A], without_axis_1(function), {"axis": (1,), "exclude": True}),
            Case([A], along_1(function, keepdims=True), {"axis": 1, "keepdims": 1}),
        ]
        for name, function in {
            "sum": np.sum,
            "min": np.min,
            "max": np.max,
            "mean": np.mean,
            "prod": np.prod,
        }.items()
    },
    **{
        name: [
            Case([A], position(function, 1), {"axis": 1}),
            Case([A], position(function)),
        ]
        for name, function in {"argmax": np.argmax, "argmin": np.argmin}.items()
    },
    **{
        f"{kind}_{name}": [Case([A, other], function)]
        for kind, other in (("elemwise", positive(2, 3, 4)), ("broadcast", positive(4)))
        for name, function in {
            "add": np.add,
            "sub": np.subtract,
            "mul": np.multiply,
            "div": np.divide,
            "mod": np.fmod,
        }.items()
    },
    "elemwise_pow": [Case([positive(4), ROW], np.power)],
    "broadcast_pow": [Case([positive(2, 4), ROW], np.power)],
    "broadcast_max": [Case([A, ROW], np.maximum)],
    "broadcast_min": [Case([A, ROW], np.minimum)],
    "broadcast_left_shift": [Case([COUNTS, np.array([1, 2, 0, 3], np.uint32)], np.left_shift)],
    "broadcast_right_shift": [Case([COUNTS, np.array([1, 2, 0, 3], np.uint32)], np.right_shift)],
    **{
        name: [Case([COUNTS.astype(np.float32), np.full(4, 7, np.float32)], comparison(function))]
        for name, function in {
            "greater": np.greater,
            "less": np.less,
            "broadcast_greater": np.greater,
            "broadcast_less": np.less,
            "broadcast_equal": np.equal,
            "broadcast_not_equal": np.not_equal,
            "broadcast_greater_equal": np.greater_equal,
            "broadcast_less_equal": np.less_equal,
        }.items()
    },
    **{
        f"__{name}_scalar__": [Case([positive(3, 4)], function, {"scalar": 3})]
        for name, function in WITH_THREE.items()
    },
    "__lshift_scalar__": [Case([COUNTS], lambda x: x << 2, {"scalar": 2})],
    "__rshift_scalar__": [Case([COUNTS], lambda x: x >> 1, {"scalar": 1})],
}


def test_every_operator_has_a_case() -> None:
    assert sorted(CASES) == sorted(sym.operators())


NEEDS_RANK = (
    "prelu",
    "batch_norm",
    "gather_nd",
    "expand_like",
    "collapse_sum",
    "slice_like",
    *("sum", "min", "max", "mean", "prod"),
)


@pytest.mark.parametrize("know_shapes", [False, True], ids=["open", "known"])
@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases]
)
def test_an_operator_gives_numpys_answer(name: str, case: Case, know_shapes: bool) -> None:
    if name in NEEDS_RANK and not know_shapes:
        pytest.skip("its meaning depends on the rank of its input")
    shapes = [each.shape if know_shapes else None for each in case.inputs]
    variables = [sym.Variable(f"x{at}", shape=shape) for at, shape in enumerate(shapes)]
    result = getattr(sym, name)(*variables, **case.attributes)
    found = run(result, *case.inputs)
    answer_of: Any = case.expected
    expected = answer_of(*case.inputs)
    several = cast("list[Array]", expected)
    wanted = several if isinstance(expected, list) else [np.asarray(expected)]
    assert len(found) == len(wanted) == len(result)
    for array, answer in zip(found, wanted, strict=True):
        assert array.shape == answer.shape
        np.testing.assert_allclose(array, answer, rtol=1e-5, atol=1e-5)
