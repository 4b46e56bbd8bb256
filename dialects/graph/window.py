"""Sliding windows: what auto_pad, pads, strides and dilations come to, for convolution and pooling.

All per spatial dimension, as extents, so named dims work; inference, the NumPy meaning and the
lowering share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, StringAttr
from xdsl.irdl import opt_prop_def

from ...core.errors import ModelError
from ...core.irtypes import int_values
from ...core.symbolic import Dim, ceildiv, less_equal, maximum, minimum
from .base import GraphOp
from .types import Dims, MaybeDim, show

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Window:
    """A resolved window; `out` and the pads are `None` where the input's extent is not known."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: Dims
    end: Dims
    out: Dims


class WindowOp(GraphOp):
    """The attributes that convolutions and pools share."""

    auto_pad = opt_prop_def(StringAttr, StringAttr("NOTSET"))
    dilations = opt_prop_def(ArrayAttr[IntegerAttr])
    kernel_shape = opt_prop_def(ArrayAttr[IntegerAttr])
    pads = opt_prop_def(ArrayAttr[IntegerAttr])
    strides = opt_prop_def(ArrayAttr[IntegerAttr])

    def resolve(self, spatial: Dims, kernel: Sequence[int], *, ceil_mode: bool = False) -> Window:
        """The window over an input of these spatial extents.

        Raises: ModelError: an attribute does not fit, or the window is larger than the input.
        """
        rank = len(spatial)
        if len(kernel) != rank:
            raise ModelError(f"kernel {list(kernel)} for {rank} spatial dimensions")
        strides = self._each("strides", self.strides, rank)
        dilations = self._each("dilations", self.dilations, rank)
        begin, end = self.explicit_pads(rank)
        kind = self.auto_pad.data
        begins: list[MaybeDim] = []
        ends: list[MaybeDim] = []
        outs: list[MaybeDim] = []
        for i in range(rank):
            reach = (kernel[i] - 1) * dilations[i] + 1
            low, high = _pads(kind, spatial[i], reach, strides[i], begin[i], end[i])
            begins.append(low)
            ends.append(high)
            size = spatial[i]
            if kind.startswith("SAME"):
                outs.append(None if size is None else ceildiv(size, strides[i]))
            else:
                outs.append(_out(size, low, high, reach, strides[i], ceil_mode))
        return Window(tuple(kernel), strides, dilations, tuple(begins), tuple(ends), tuple(outs))

    def explicit_pads(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What `pads` says, for the beginning and for the end of each dimension.

        Raises: ModelError: `pads` or `auto_pad` is malformed.
        """
        if self.auto_pad.data not in AUTO_PADS:
            raise ModelError(f"auto_pad '{self.auto_pad.data}', expected {', '.join(AUTO_PADS)}")
        pads = int_values(self.pads) if self.pads is not None else (0,) * (2 * rank)
        if len(pads) != 2 * rank:
            raise ModelError(f"pads {list(pads)} for {rank} spatial dimensions")
        return pads[:rank], pads[rank:]

    def _each(self, name: str, given: ArrayAttr[IntegerAttr] | None, rank: int) -> tuple[int, ...]:
        values = int_values(given) if given is not None else (1,) * rank
        if len(values) != rank or any(value < 1 for value in values):
            raise ModelError(f"{name} {list(values)} for {rank} spatial dimensions")
        return values

    def per_dimension(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Strides and dilations.

        Raises: ModelError: of wrong length, or not positive.
        """
        return (
            self._each("strides", self.strides, rank),
            self._each("dilations", self.dilations, rank),
        )

    def kernel_extents(self, known: Dims | None) -> tuple[int, ...] | None:
        """`kernel_shape`, or else the spatial extents of the weights; `None` if not known.

        Raises: ModelError: they differ.
        """
        given = int_values(self.kernel_shape) if self.kernel_shape is not None else None
        sizes = None if known is None else [size for size in known if isinstance(size, int)]
        if known is None or sizes is None or len(sizes) != len(known):
            return given
        if given is not None and tuple(sizes) != given:
            raise ModelError(f"kernel_shape {list(given)} differs from the weights' {show(known)}")
        return tuple(sizes)


def _pads(
    kind: str, size: MaybeDim, reach: int, stride: int, begin: int, end: int
) -> tuple[MaybeDim, MaybeDim]:
    if kind == "NOTSET":
        return begin, end
    if kind == "VALID":
        return 0, 0
    if size is None:
        return None, None
    total = maximum(0, (ceildiv(size, stride) - 1) * stride + reach - size)
    half = total // 2
    return (half, total - half) if kind == "SAME_UPPER" else (total - half, half)


def _out(
    size: MaybeDim, begin: MaybeDim, end: MaybeDim, reach: int, stride: int, ceil_mode: bool
) -> MaybeDim:
    """Windows that fit; rounded up, all that begin inside the input or its left padding."""
    if size is None or begin is None or end is None:
        return None
    span = size + begin + end - reach
    if not ceil_mode:
        out: Dim = span // stride + 1
    else:
        out = minimum(ceildiv(span, stride) + 1, ceildiv(size + begin, stride))
    if less_equal(0, out) is False:
        raise ModelError(f"a window of {reach} over a padded extent of {size + begin + end}")
    return out
