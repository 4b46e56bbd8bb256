"""Small kernels of every kind, in any extents, and arrays for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import TensorType, f32, i8, i16, i32, i64
from xdsl.ir import Attribute

from nnc.core.dtypes import numpy_dtype
from nnc.core.irtypes import tensor_element, tensor_shape
from nnc.dialects import te
from nnc.dialects.intrinsics import ui8
from nnc.dialects.te_build import KernelBuilder, Scalar, Tensor
from nnc.dialects.te_build.functions import maximum, unary, where

Array = np.ndarray[Any, Any]


def tensor(*shape: int, element: Attribute = f32) -> TensorType[Any]:
    return TensorType(element, shape)


def build(
    name: str,
    args: dict[str, TensorType[Any]],
    function: Callable[..., Sequence[Tensor]],
    const: Sequence[str] = (),
) -> te.KernelOp:
    builder = KernelBuilder(name, args, const=const)
    return builder.finish(*function(builder, *builder.args))


def matmul_add_relu(m: int, n: int, k: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor, w: Tensor, bias: Tensor) -> list[Tensor]:
        c = b.compute(
            "c",
            {"i": m, "j": n},
            lambda i, j: b.sum({"k": k}, lambda r: x[i, r] * w[r, j]),
        )
        y = b.compute("y", {"i": m, "j": n}, lambda i, j: maximum(c[i, j] + bias[j], 0.0))
        return [y]

    args = {"x": tensor(m, k), "w": tensor(k, n), "b": tensor(n)}
    return build("mm", args, body, ["w", "b"])


def convolution(size: int, channels: int, taps: int, stride: int) -> te.KernelOp:
    pad = taps // 2
    out = max(0, (size + 2 * pad - taps) // stride + 1) if size else 0

    def body(b: KernelBuilder, x: Tensor, w: Tensor) -> list[Tensor]:
        s = b.compute("s", {"c": channels, "w": size}, lambda c, i: x[c, i] * 2.0)
        c = b.compute(
            "c",
            {"o": channels, "w": out},
            lambda o, i: b.sum(
                {"c": channels, "kw": taps},
                lambda ci, kw: s.read((ci, i * stride + kw - pad), 0.0) * w[o, ci, kw],
            ),
        )
        y = b.compute("y", {"o": channels, "w": out}, lambda o, i: maximum(c[o, i], 0.0))
        return [y]

    args = {"x": tensor(channels, size), "w": tensor(channels, channels, taps)}
    return build("conv", args, body, ["w"])


def max_pool(size: int, taps: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        s = b.compute("s", {"w": size}, lambda i: x[i] + 1.0)
        y = b.compute(
            "y",
            {"w": size},
            lambda i: b.reduce("max", {"k": taps}, lambda k: s.read((i + k - 1,), -1e30)),
        )
        return [y]

    return build("pool", {"x": tensor(size)}, body)


def chain(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        s = b.compute("s", {"i": m, "j": n}, lambda i, j: x[i, j] * 3.0)
        t = b.compute("t", {"j": n, "i": m}, lambda j, i: s.read((i - 1, j), 5.0) + 1.0)
        copied = b.compute("u", {"i": m, "j": n}, lambda i, j: t[j, i])
        y = b.compute(
            "y", {"i": m, "j": n}, lambda i, j: copied.read((i, j + 1), 2.0) - s[i, j] * i.cast(f32)
        )
        return [y]

    return build("chain", {"x": tensor(m, n)}, body)


def softmax(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        top = b.compute("m", {"i": m}, lambda i: b.reduce("max", {"j": n}, lambda j: x[i, j]))
        exp = unary("exp")
        e = b.compute("e", {"i": m, "j": n}, lambda i, j: exp(x[i, j] - top[i]))
        total = b.compute("s", {"i": m}, lambda i: b.sum({"j": n}, lambda j: e[i, j]))
        return [b.compute("y", {"i": m, "j": n}, lambda i, j: e[i, j] / total[i])]

    return build("softmax", {"x": tensor(m, n)}, body)


def argmax(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        def better(old: Any, new: Any) -> list[Any]:
            take = new[0] > old[0]
            return [where(take, new[0], old[0]), where(take, new[1], old[1])]

        def row(i: Any) -> Any:
            return b.reduce_with(better, [-1e30, 0], {"j": n}, lambda j: (x[i, j], j.cast(i64)))

        value, place = b.computes("a", {"i": m}, row)
        y = b.compute("y", {"i": m}, lambda i: value[i] * 2.0)
        z = b.compute("z", {"i": m}, lambda i: place[i])
        return [y, z]

    return build("argmax", {"x": tensor(m, n)}, body)


def reshape(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        s = b.compute("s", {"i": m, "j": n}, lambda i, j: x[i, j] + 1.0)
        divisor = max(1, n)
        y = b.compute("y", {"f": m * n}, lambda f: s[f // divisor, f % divisor] * 2.0)
        return [y, s]

    return build("reshape", {"x": tensor(m, n)}, body)


def gather(rows: int, width: int, count: int) -> te.KernelOp:
    def body(b: KernelBuilder, table: Tensor, ids: Tensor) -> list[Tensor]:
        s = b.compute("s", {"r": rows, "j": width}, lambda r, j: table[r, j] * 0.5)
        y = b.compute("y", {"n": count, "j": width}, lambda n, j: s[ids[n], j] + 1.0)
        return [y]

    args = {"table": tensor(rows, width), "ids": tensor(count, element=i32)}
    return build("gather", args, body)


def skewed_gather(rows: int, width: int, count: int) -> te.KernelOp:
    """As `gather`, of quotients and remainders of what may be negative."""

    def body(b: KernelBuilder, table: Tensor, ids: Tensor) -> list[Tensor]:
        s = b.compute(
            "s",
            {"r": rows, "j": width},
            lambda r, j: table[(j - r) % rows, (j - r) // 2 + rows // 2] * 0.5,
        )
        y = b.compute("y", {"n": count, "j": width}, lambda n, j: s[ids[n], j] + 1.0)
        return [y]

    args = {"table": tensor(rows, (rows + width) // 2 + 1), "ids": tensor(count, element=i32)}
    return build("skewed", args, body)


def dot(m: int, n: int, k: int, terms: int) -> te.KernelOp:
    """Bytes or shorts: the shape of an intrinsic, and of what it could be taken for."""

    def body(b: KernelBuilder, x: Tensor, w: Tensor) -> list[Tensor]:
        def row(i: Any, j: Any) -> Any:
            return b.sum({"k": k}, lambda r: x[i, r].cast(i32) * w[r, j].cast(i32))

        c = b.compute("c", {"i": m, "j": n}, row)
        return [b.compute("y", {"i": m, "j": n}, lambda i, j: c[i, j] + 1)]

    x, w = (ui8, i8) if terms == 4 else (i16, i16)
    return build("dot", {"x": tensor(m, k, element=x), "w": tensor(k, n, element=w)}, body, ["w"])


def recurrence(steps: int, width: int, reverse: bool) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor, w: Tensor, h0: Tensor) -> list[Tensor]:
        def step(t: Callable[[], Scalar], states: Sequence[Tensor]) -> list[Tensor]:
            h = states[0]
            c = b.compute(
                "c",
                {"i": width},
                lambda i: b.sum({"k": width}, lambda k: w[i, k] * h[k]),
            )
            return [b.compute("n", {"i": width}, lambda i: c[i] * t().cast(f32) + x[t(), i])]

        (h,) = b.scan("h", ("t", steps), [h0], step, reverse=reverse)
        return [b.compute("y", {"t": steps, "i": width}, lambda t, i: h[t, i] + 1.0)]

    args = {"x": tensor(steps, width), "w": tensor(width, width), "h0": tensor(width)}
    return build("recurrence", args, body, ["w"])


def random_inputs(kernel: te.KernelOp) -> list[Array]:
    generator = np.random.default_rng(7)
    arrays: list[Array] = []
    for type_ in kernel.function_type.inputs:
        shape = tensor_shape(type_)
        element = tensor_element(type_)
        if element in (i8, i16):
            dtype = numpy_dtype(element)
            info = np.iinfo(dtype)
            arrays.append(generator.integers(info.min, info.max, shape, dtype, endpoint=True))
        elif element == i32:
            rows = tensor_shape(kernel.function_type.inputs.data[0])[0]
            arrays.append(generator.integers(0, rows, shape).astype(np.int32))
        else:
            arrays.append(generator.standard_normal(shape).astype(np.float32))
    return arrays
