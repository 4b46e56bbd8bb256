"""pack: a constant operand gets another layout, made at compile time.

    %w: buffer<768x3072xf32>
      ->  %w: buffer<768x3072xf32, (d0, d1) -> (d1 floordiv 48, d0, d1 mod 48)>

Accesses stay logical; the buffer's type says where an element lies.
"""

from __future__ import annotations

from xdsl.ir import BlockArgument
from xdsl.ir.affine import AffineMap
from xdsl.rewriter import Rewriter

from ...core.affine import Ranges, bounds
from ...core.errors import ScheduleError
from ...core.injective import ENUMERATION_LIMIT, is_injective
from ...dialects.loop import BufferType, KernelOp, buffer_type
from .lookup import find_buffer, listing


def pack(kernel: KernelOp, operand: str, layout: AffineMap) -> None:
    """Give the const argument `operand` the layout `layout` (logical to physical indices).

    Raises: ScheduleError: not a const argument, or two elements would share a place.
    """
    buffer = find_buffer(kernel, operand)
    if not isinstance(buffer, BlockArgument) or buffer.index not in kernel.const_positions:
        names = [kernel.arg_names.data[i].data for i in sorted(kernel.const_positions)]
        raise ScheduleError(
            f"pack: '{operand}' is not a constant, its layout is given",
            hint=f"constants are {listing(names)}" if names else "the kernel has no constants",
        )
    old = buffer_type(buffer)
    extents = old.extents
    if layout.num_dims != len(extents) or layout.num_symbols:
        raise ScheduleError(
            f"pack: the layout of '{operand}' takes {layout.num_dims} indices, the buffer has "
            f"{len(extents)}"
        )
    ranges = tuple((0, extent) for extent in extents)
    _require_placed(operand, layout, Ranges(ranges), 0 in extents)
    injective = is_injective(layout.results, ranges)
    if injective is not True:
        why = (
            "puts two elements in one place"
            if injective is False
            else f"could not be shown to keep elements apart (over {ENUMERATION_LIMIT} elements)"
        )
        raise ScheduleError(
            f"pack: the layout of '{operand}' {why}",
            hint="give `d floordiv b` and `d mod b` for each blocked index",
        )
    type_ = BufferType.get(extents, old.element_type, old.space.data, layout)
    Rewriter.replace_value_with_new_type(buffer, type_)


def _require_placed(operand: str, layout: AffineMap, ranges: Ranges, empty: bool) -> None:
    """Raises: ScheduleError: a physical index is negative."""
    for expr in layout.results:
        interval = bounds(expr, ranges)
        if interval is None or (interval[0] < 0 and not empty):
            raise ScheduleError(f"pack: physical index {expr} of '{operand}' may be negative")
