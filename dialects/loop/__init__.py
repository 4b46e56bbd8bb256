"""loop: in which order, and where.

Two verified forms. *Nest form* is loops around `loop.stmt` leaves; each statement keeps the index
space, the reads and the scalar body of the te compute it came from, and says how its axes follow
from the loops around it. Schedules work on nests:

    loop.kernel @scale(%x: buffer<100xf32>, %y: out buffer<100xf32>) {
      loop.for %o = 0 to 7 {name = "y.i.o"} {
        loop.for %l = 0 to 16 vectorize {name = "y.i.i"} {
          loop.stmt @y [i: 100] = [16 * %o + %l] -> %y[i] { %x[i] * 2.0 }
    } } }

A statement runs for the points that lie in its index space and for no others: i < 100 needs no
predicate. *Tile form* has n-D vectors as values; `form-tiles` makes it once, at the end:

        %t = loop.load %x[16 * %o + l] if (99 - 16 * %o - l >= 0) : tile<l: 16 lanes, f32>

Bounds, accesses and masks are affine maps and sets over loop variables (dimensions first, tile axes
after them) with opaque, data-dependent tiles as symbols.
"""

from xdsl.ir import Dialect

from .elementwise import ELEMENTWISE
from .nest import AllocOp, CoeffOp, ForOp, IndexOp, KernelOp, PrefetchOp, ReadOp, StmtOp, YieldOp
from .tile import (
    ConstantOp,
    ContractOp,
    IfOp,
    IntrinsicOp,
    IotaOp,
    LoadOp,
    MaskOp,
    PickOp,
    ReduceOp,
    StoreOp,
    TableOp,
)
from .types import BufferType, TileAxisAttr, TileType, buffer_type, tile_type

__all__ = [
    "ELEMENTWISE",
    "AllocOp",
    "BufferType",
    "CoeffOp",
    "ConstantOp",
    "ContractOp",
    "ForOp",
    "IfOp",
    "IndexOp",
    "IntrinsicOp",
    "IotaOp",
    "KernelOp",
    "LoadOp",
    "Loop",
    "MaskOp",
    "PickOp",
    "PrefetchOp",
    "ReadOp",
    "ReduceOp",
    "StmtOp",
    "StoreOp",
    "TableOp",
    "TileAxisAttr",
    "TileType",
    "YieldOp",
    "buffer_type",
    "tile_type",
]

Loop = Dialect(
    "loop",
    [
        KernelOp,
        AllocOp,
        ForOp,
        StmtOp,
        ReadOp,
        IndexOp,
        CoeffOp,
        PrefetchOp,
        YieldOp,
        IfOp,
        LoadOp,
        StoreOp,
        ConstantOp,
        TableOp,
        IotaOp,
        MaskOp,
        ContractOp,
        IntrinsicOp,
        ReduceOp,
        PickOp,
        *ELEMENTWISE.values(),
    ],
    [BufferType, TileAxisAttr, TileType],
)
