"""Convolutions and products with constant weights, seen as one thing: y = linear(x, W) + b.

What the patterns of `simplify-inference` need: along which axis of the result the output channels
lie, and the same operator with its channels scaled or shifted. Arithmetic is done in f64 and
rounded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdsl.ir import Attribute, Operation, SSAValue

from ...core.irtypes import float_attr
from ...core.rewriting import Rewriter
from ...dialects.graph.base import GraphOp, constant_value
from ...dialects.graph.conv import ConvOp, ConvTransposeOp
from ...dialects.graph.linear import GemmOp, MatMulOp
from ...dialects.graph.types import dims
from .constants import make_constant

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Linear = ConvOp | ConvTransposeOp | GemmOp | MatMulOp
LINEAR = (ConvOp, ConvTransposeOp, GemmOp, MatMulOp)


def as_linear(op: object) -> Linear | None:
    """`op` if it is a convolution or product with constant weights (and bias)."""
    if not isinstance(op, LINEAR) or weights(op) is None:
        return None
    addend = bias(op)
    if isinstance(op, MatMulOp) and (dims(op.b.type) is None or len(dims(op.b.type) or ()) != 2):
        return None
    return op if addend is None or constant_value(addend) is not None else None


def weights(op: Linear) -> Array | None:
    """The content of the second operand, if it is constant."""
    return constant_value(op.operands[1])


def bias(op: Linear) -> SSAValue | None:
    """The operand that is added, if there is one."""
    if isinstance(op, ConvOp | ConvTransposeOp):
        return op.b
    return op.c if isinstance(op, GemmOp) else None


def channel_axis(op: Linear) -> int:
    """The axis of the result along which the output channels lie; from the end for products."""
    return 1 if isinstance(op, ConvOp | ConvTransposeOp) else -1


def num_channels(op: Linear) -> int:
    """How many output channels there are."""
    found = weights(op)
    assert found is not None
    if isinstance(op, ConvOp):
        return found.shape[0]
    if isinstance(op, ConvTransposeOp):
        return found.shape[1] * op.group.value.data
    is_transposed = isinstance(op, GemmOp) and op.transB.value.data
    return found.shape[0] if is_transposed else found.shape[1]


def channel_vector(value: SSAValue, like: SSAValue, axis: int, channels: int) -> Array | None:
    """A constant that differs only along `axis` of `like`, as f64[channels].

    `None` if it is not constant, varies elsewhere, would broadcast `like`, or is not finite.
    """
    import numpy as np

    array, shape = constant_value(value), dims(like.type)
    if array is None or shape is None or array.ndim > len(shape) or array.dtype.kind in "iub":
        return None
    padded = (1,) * (len(shape) - array.ndim) + array.shape
    axis %= len(shape)
    others = (*padded[:axis], *padded[axis + 1 :])
    if any(extent != 1 for extent in others) or padded[axis] not in (1, channels):
        return None
    vector = np.broadcast_to(array.reshape(-1).astype(np.float64), (channels,))
    return vector if np.isfinite(vector).all() else None


def scaled(rw: Rewriter, op: Linear, factor: Array, origin: Operation) -> GraphOp | None:
    """`op` with output channel m multiplied by `factor[m]`; `None` if a weight overflows."""
    now, addend = weights(op), constant_value(bias(op))
    assert now is not None
    new_bias = None if addend is None else _wide(addend) * factor
    new_weights = _wide(now) * _along_weights(op, now, factor)
    return renewed(rw, op, new_weights, new_bias, origin, origin.results[0].type)


def shifted(rw: Rewriter, op: Linear, shift: Array, origin: Operation) -> GraphOp | None:
    """`op` with `shift[m]` added to output channel m; `None` for a product without a bias."""
    import numpy as np

    if isinstance(op, MatMulOp):
        return None
    addend = constant_value(bias(op))
    beta = op.beta.value.data if isinstance(op, GemmOp) else 1.0
    new_bias = shift if addend is None else beta * _wide(addend) + shift
    new = renewed(rw, op, None, np.asarray(new_bias), origin, origin.results[0].type)
    if isinstance(new, GemmOp):
        new.beta = float_attr(1.0)
    return new


def num_input_channels(op: Linear) -> int:
    """How many input channels there are."""
    found = weights(op)
    assert found is not None
    if isinstance(op, ConvOp):
        return found.shape[1] * op.group.value.data
    is_transposed = isinstance(op, GemmOp) and op.transB.value.data
    return found.shape[1] if is_transposed else found.shape[0]


def input_channel_factors(op: Linear, factor: Array) -> Array:
    """`factor` of each input channel, laid out beside the weights (conv: [m, c / group, k...])."""
    import numpy as np

    now = weights(op)
    assert now is not None
    if not isinstance(op, ConvOp):
        is_transposed = isinstance(op, GemmOp) and op.transB.value.data
        return factor if is_transposed else factor.reshape(-1, *(1,) * (now.ndim - 1))
    group = op.group.value.data
    rows = np.repeat(factor.reshape(group, -1), now.shape[0] // group, axis=0)
    return rows.reshape(*rows.shape, *(1,) * (now.ndim - 2))


def _wide(array: Array) -> Array:
    import numpy as np

    return array.astype(np.float64)


def _along_weights(op: Linear, now: Array, factor: Array) -> Array:
    if isinstance(op, ConvOp):
        return factor.reshape(-1, *(1,) * (now.ndim - 1))
    if isinstance(op, ConvTransposeOp):
        import numpy as np

        group = op.group.value.data
        rows = np.repeat(factor.reshape(group, -1), now.shape[0] // group, axis=0)
        return rows.reshape(*rows.shape, *(1,) * (now.ndim - 2))
    is_transposed = isinstance(op, GemmOp) and op.transB.value.data
    return factor.reshape(-1, 1) if is_transposed else factor.reshape(1, -1)


def renewed(
    rw: Rewriter,
    op: Linear,
    new_weights: Array | None,
    new_bias: Array | None,
    origin: Operation,
    type_: Attribute,
) -> GraphOp | None:
    """`op` with other constants.

    Args:
        rw: inserts the constants, in the name of `op` and `origin`.
        op: stays as it is.
        new_weights: rounded to the type of the present ones, which `None` stands for.
        new_bias: likewise.
        origin: the op that is folded in.
        type_: of the result.

    Returns: the op, not inserted; `None` if a constant overflows.
    """
    import numpy as np

    now = weights(op)
    assert now is not None
    with np.errstate(over="ignore"):
        arrays = [None if a is None else a.astype(now.dtype) for a in (new_weights, new_bias)]
    if any(a is not None and not np.isfinite(_wide(a)).all() for a in arrays):
        return None
    with rw.located(op, origin):
        values = [None if a is None else make_constant(rw, a) for a in arrays]
    operands: list[SSAValue | None] = [op.operands[0], values[0] or op.operands[1]]
    if not isinstance(op, MatMulOp):
        operands.append(values[1] or bias(op))
    return type(op)(
        operands=operands,
        properties=dict(op.properties),
        result_types=[type_],
        attributes=dict(op.attributes),
    )
