"""outer-product: y[i, j] = f(a[i], b[j]) in tiles of rows, so that b is loaded once for several."""

from collections.abc import Collection

import nnc
from nnc.schedules.library.analysis import Compute, out_stride, read_stride
from nnc.schedules.library.rules import Site

ROWS = 4
"""Of a tile: each vector of b serves so many."""
PARALLEL_POINTS = 16 * 1024


def is_outer_product(compute: Compute) -> bool:
    """Whether it combines something of the row with something contiguous of the column."""
    if compute.reduce or len(compute.parallel) != 2 or out_stride(compute, 1) != 1:
        return False
    strides = {(read_stride(compute, r, 0), read_stride(compute, r, 1)) for r in compute.reads}
    return strides == {(1, 0), (0, 1)}


def schedule_outer_product(site: Site) -> Collection[str]:
    """Tiles of ROWS by two registers; threads share the rows."""
    compute, schedule = site.compute, site.schedule
    if not is_outer_product(compute):
        return ()
    i, j = (compute.loop(axis) for axis in compute.parallel)
    rows, _, row, lane = schedule.tile(i, j, ROWS, 2 * site.target.lanes)
    schedule.unroll(row)
    schedule.vectorize(lane)
    if compute.points >= PARALLEL_POINTS:
        schedule.parallel(rows)
    return (compute.symbol,)


nnc.register_schedule("outer-product", schedule_outer_product)
