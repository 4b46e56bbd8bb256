"""Writing te kernels in Python: axes, reads and scalars behave as numbers.

    k = KernelBuilder("dense", {"x": x_type, "w": w_type, "b": b_type}, const=("w", "b"))
    x, w, b = k.args
    c = k.compute("c", {"i": 128, "j": 64},
                  lambda i, j: k.sum({"k": 768}, lambda r: x[i, r] * w[r, j]))
    y = k.compute("y", {"i": 128, "j": 64}, lambda i, j: maximum(c[i, j] + b[j], 0.0))
    kernel = k.finish(y)

Inside a compute's function an axis is an `Index` (+, -, *, // and % with integers keep it affine),
a read is a `Scalar` (NumPy's operators, and `functions`). A scalar inside an index makes the read
opaque. Types are those of the graph, with signedness (`ui8`): the builder picks the signed or the
unsigned op, and writes signless te.
"""

from .body import Body
from .kernel import KernelBuilder, axis_names, te_type
from .reduction import Reduction
from .scalar import Index, Scalar, Value
from .tensor import Splat, Tensor

__all__ = [
    "Body",
    "Index",
    "KernelBuilder",
    "Reduction",
    "Scalar",
    "Splat",
    "Tensor",
    "Value",
    "axis_names",
    "te_type",
]
