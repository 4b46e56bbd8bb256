"""The primitive behind each op of the sched dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr
from xdsl.ir import Operation

from ...dialects import sched
from ...dialects.loop import KernelOp
from .cache_read import cache_read
from .cache_write import cache_write
from .choose import choose
from .compute_at import compute_at
from .compute_inline import compute_inline
from .compute_root import compute_root
from .decompose_reduction import decompose_reduction
from .fuse import fuse
from .pack import pack
from .parallel import parallel
from .partition import partition
from .prefetch import prefetch
from .reorder import reorder
from .reverse_compute_at import reverse_compute_at
from .rfactor import rfactor
from .set_scope import set_scope
from .split import split
from .tensorize import tensorize
from .tile import tile
from .unroll import unroll
from .vectorize import vectorize

PRIMITIVES: dict[type[Operation], Callable[..., Any]] = {
    sched.SplitOp: split,
    sched.FuseOp: fuse,
    sched.ReorderOp: reorder,
    sched.TileOp: tile,
    sched.PartitionOp: partition,
    sched.ParallelOp: parallel,
    sched.VectorizeOp: vectorize,
    sched.UnrollOp: unroll,
    sched.ComputeAtOp: compute_at,
    sched.ReverseComputeAtOp: reverse_compute_at,
    sched.ComputeRootOp: compute_root,
    sched.ComputeInlineOp: compute_inline,
    sched.CacheReadOp: cache_read,
    sched.CacheWriteOp: cache_write,
    sched.SetScopeOp: set_scope,
    sched.PackOp: pack,
    sched.RfactorOp: rfactor,
    sched.DecomposeReductionOp: decompose_reduction,
    sched.TensorizeOp: tensorize,
    sched.PrefetchOp: prefetch,
    sched.ChooseOp: choose,
}
"""The function of each op; its parameters after the kernel are the op's properties, in order."""


def apply_primitive(kernel: KernelOp, op: Operation) -> Any:
    """Run one primitive on a kernel; returns what the primitive returns (names of loops).

    Raises: ScheduleError: it is refused.
    """
    return PRIMITIVES[type(op)](kernel, *arguments_of(op))


def arguments_of(op: Operation) -> list[Any]:
    """The properties of a primitive as Python values, as declared; absent ones are left out."""
    assert isinstance(op, sched.PrimitiveOp)
    names = list(op.get_irdl_definition().properties)
    found = [op.properties[name] for name in names if name in op.properties]
    return [_plain(attribute) for attribute in found]


def _plain(attribute: Any) -> Any:
    """StringAttr -> str, IntegerAttr -> int, AffineMapAttr -> AffineMap, ArrayAttr -> list."""
    if isinstance(attribute, ArrayAttr):
        return [_plain(inner) for inner in cast("ArrayAttr[Any]", attribute)]
    return attribute.value.data if isinstance(attribute, IntegerAttr) else attribute.data
