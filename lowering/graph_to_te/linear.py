"""Products of matrices: one sum over k; 16-bit floats are summed in f32."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...dialects.graph.linear import GemmOp, MatMulOp
from ...dialects.te_build import Index, Reduction, Scalar, Tensor
from ...dialects.te_build.ops import is_float
from ...dialects.te_build.places import delinear, linear
from .site import Lowering, Site, wide

_STACK = ("b", "h")


def lower_matmul(op: MatMulOp, at: Site) -> Sequence[Tensor]:
    """y[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]; a vector lacks its own axis."""
    a, b = at[op.a], at[op.b]
    shape = at.shape()
    if a.rank > 2 and b.rank == 2 and 0 not in shape:
        return [at.rounded(rows_in_one(at, a, b), at.dtype())]
    rows, columns = ["i"] if a.rank > 1 else [], ["j"] if b.rank > 1 else []
    num_stack = len(shape) - len(rows) - len(columns)
    stack_names = _STACK[:num_stack] if num_stack <= 2 else [f"b{n}" for n in range(num_stack)]
    dtype = wide(a.dtype)

    def body(*indices: Index) -> Reduction:
        stack = indices[:num_stack]
        i = indices[num_stack : num_stack + len(rows)]
        j = indices[num_stack + len(rows) :]
        return at.k.sum(
            {"k": a.shape[-1]},
            lambda k: a.at([*stack, *i, k]).cast(dtype) * b.at([*stack, k, *j]).cast(dtype),
        )

    axes = dict(zip([*stack_names, *rows, *columns], shape, strict=True))
    return [at.rounded(at.k.compute("matmul", axes, body), at.dtype())]


def rows_in_one(at: Site, a: Tensor, b: Tensor) -> Tensor:
    """y[i, j] = sum over k of a[i, k] * b[k, j], the rows of all matrices of a stack in one axis.

    They share one factor; tiles of rows need not end where a matrix does.
    """
    stack, dtype = a.shape[:-1], wide(a.dtype)

    def body(i: Index, j: Index) -> Reduction:
        return at.k.sum(
            {"k": a.shape[-1]},
            lambda k: a.read([*delinear(i, stack), k]).cast(dtype) * b[k, j].cast(dtype),
        )

    rows = at.k.compute("matmul", {"i": prod(stack), "j": b.shape[1]}, body)
    names = [f"i{n}" for n in range(len(stack))]
    axes = dict(zip([*names, "j"], at.shape(), strict=True))

    def place(*indices: Index) -> Scalar:
        return rows[linear(indices[:-1], stack), indices[-1]]

    return at.k.compute("stack", axes, place)


def lower_gemm(op: GemmOp, at: Site) -> Sequence[Tensor]:
    """Y = alpha * A * B + beta * C, with A and B maybe transposed."""
    a, b, c = at[op.a], at[op.b], at.maybe(op.c)
    rows, columns = at.shape()
    turn_a, turn_b = bool(op.transA.value.data), bool(op.transB.value.data)
    dtype = wide(a.dtype)

    def body(i: Index, j: Index) -> Reduction:
        def term(k: Index) -> Scalar:
            left = a[k, i] if turn_a else a[i, k]
            right = b[j, k] if turn_b else b[k, j]
            return left.cast(dtype) * right.cast(dtype)

        return at.k.sum({"k": a.shape[0 if turn_a else 1]}, term)

    product = at.k.compute("gemm", {"i": rows, "j": columns}, body)
    return [_scale_and_add(op, at, product, c)]


def _scale_and_add(op: GemmOp, at: Site, product: Tensor, c: Tensor | None) -> Tensor:
    alpha, beta = op.alpha.value.data, op.beta.value.data
    dtype = product.dtype
    if not is_float(dtype):
        alpha, beta = int(alpha), int(beta)
    if c is None or beta == 0:
        if alpha == 1:
            return at.rounded(product, at.dtype())
        return at.pointwise(lambda x: (x * alpha).cast(at.dtype()), product, name="scaled")

    def body(x: Scalar, y: Scalar) -> Scalar:
        scaled = x if alpha == 1 else x * alpha
        addend = y.cast(dtype)
        return (scaled + (addend if beta == 1 else addend * beta)).cast(at.dtype())

    return at.pointwise(body, product, c, name="gemm_add")


LOWERINGS: dict[str, Lowering] = {
    "graph.matmul": lower_matmul,
    "graph.gemm": lower_gemm,
}
