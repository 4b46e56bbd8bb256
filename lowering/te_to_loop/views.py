"""Where a tensor of a te.kernel lives while the kernel becomes loops."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap

from ...core.affine import const, sym


@dataclass(frozen=True)
class Step:
    """The step of the te.scan around a compute: its loop's variable and how it counts."""

    label: str
    size: int
    reverse: bool
    loop_variable: SSAValue
    argument: SSAValue

    def expression(self, iv: AffineExpr) -> AffineExpr:
        """The step, where `iv` stands for the loop's variable."""
        return const(self.size - 1) - iv if self.reverse else iv


@dataclass(frozen=True)
class View:
    """A tensor as a buffer, or as the slice at the present step of a buffer with steps in front."""

    buffer: SSAValue
    sliced: bool = False

    def access(self, map_: AffineMap, step: Step | None, num_opaque: int) -> AffineMap:
        """`map_` into the buffer; the step's loop is the first iv, after the opaque symbols."""
        if not self.sliced:
            return map_
        assert step is not None, "a slice of a scan's result is used inside the scan only"
        at = step.expression(sym(num_opaque))
        return AffineMap(map_.num_dims, map_.num_symbols, (at, *map_.results))
