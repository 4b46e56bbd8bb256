"""Convolutions: a sum over input channels and kernel positions, padding by guarded reads."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects.builtin import AffineMapAttr
from xdsl.ir.affine import AffineMap

from ...core.affine import dim, used
from ...dialects.graph.conv import ConvOp, ConvTransposeOp
from ...dialects.graph.window import Window
from ...dialects.te_build import Index, Reduction, Scalar, Tensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.places import delinear, linear
from .site import Lowering, Site, wide

_SPATIAL = ("d", "h", "w")


def spatial_names(rank: int) -> list[str]:
    """Axis names of spatial dimensions: h and w of an image, d in front of a volume's."""
    return list(_SPATIAL[3 - rank :]) if rank <= 3 else [f"s{n}" for n in range(rank)]


def kernel_axes(kernel: Sequence[int]) -> dict[str, int]:
    """Reduce axes over the positions of a kernel: kh, kw."""
    names = spatial_names(len(kernel))
    return {f"k{name}": extent for name, extent in zip(names, kernel, strict=True)}


def sizes(dims: Sequence[object]) -> list[int]:
    """Extents that are all known."""
    return [dim for dim in dims if isinstance(dim, int)]


def window_position(window: Window, out: Sequence[Index], kernel: Sequence[Index]) -> list[Index]:
    """Where in the input a window's element lies: o * stride + k * dilation - padding."""
    begin = sizes(window.begin)
    return [
        o * stride + k * dilation - pad
        for o, k, stride, dilation, pad in zip(
            out, kernel, window.strides, window.dilations, begin, strict=True
        )
    ]


def leaves_input(window: Window, spatial: Sequence[int]) -> bool:
    """Whether a window reaches over the input's edge, so that reads need a fill value."""
    return any(
        begin > 0 or (out - 1) * stride + (kernel - 1) * dilation - begin >= size
        for begin, out, stride, kernel, dilation, size in zip(
            sizes(window.begin),
            sizes(window.out),
            window.strides,
            window.kernel,
            window.dilations,
            spatial,
            strict=True,
        )
    )


def lower_conv(op: ConvOp, at: Site) -> Sequence[Tensor]:
    """y[n, c, h, w] = sum over ic, kh, kw of x[n, ic, h + kh - pad, w + kw - pad] * w[c, ic, ...].

    In groups the input channel is that of the output channel's group; a group of one channel has
    no axis ic.
    """
    x, w, bias = at[op.x], at[op.w], at.maybe(op.b)
    window = op.window
    assert window is not None, "the convolution's shapes are known"
    if is_pointwise(window, x.shape[2:]):
        return [add_bias(at, pointwise(op, at, x, w), bias)]
    per_group, channels_out = w.shape[1], w.shape[0] // op.group.value.data
    fill = 0.0 if leaves_input(window, x.shape[2:]) else None
    axes = dict(zip(["n", "c", *spatial_names(x.rank - 2)], at.shape(), strict=True))
    channel_axes = {"ic": per_group} if per_group > 1 else {}
    dtype = wide(x.dtype)

    def body(n: Index, c: Index, *out: Index) -> Reduction:
        def term(*reduced: Index) -> Scalar:
            ic = reduced[0] if channel_axes else 0
            kernel = reduced[len(channel_axes) :]
            channel = ic if op.group.value.data == 1 else c // channels_out * per_group + ic
            data = x.read([n, channel, *window_position(window, out, kernel)], fill)
            return data.cast(dtype) * w[c, ic, *kernel].cast(dtype)

        return at.k.sum({**channel_axes, **kernel_axes(window.kernel)}, term)

    return [add_bias(at, at.k.compute("conv", axes, body), bias)]


def is_pointwise(window: Window, spatial: Sequence[int]) -> bool:
    """Whether a convolution multiplies pixel by pixel, over more than one spatial dimension."""
    return (
        len(spatial) > 1
        and 0 not in spatial
        and all(extent == 1 for extent in (*window.kernel, *window.strides))
        and not any((*window.begin, *window.end))
    )


def pointwise(op: ConvOp, at: Site, x: Tensor, w: Tensor) -> Tensor:
    """y[n, c, p] = sum over ic of x[n, ic, p] * w[c, ic], the pixels p in one row.

    So that tiles of pixels need not end where a row of the image does.
    """
    spatial, dtype = x.shape[2:], wide(x.dtype)
    per_group, channels_out = w.shape[1], w.shape[0] // op.group.value.data
    ones = [0] * len(spatial)

    def body(n: Index, c: Index, p: Index) -> Reduction:
        def term(ic: Index) -> Scalar:
            channel = ic if op.group.value.data == 1 else c // channels_out * per_group + ic
            data = x.read([n, channel, *delinear(p, spatial)])
            return data.cast(dtype) * w[c, ic, *ones].cast(dtype)

        return at.k.sum({"ic": per_group}, term)

    axes = {"n": x.shape[0], "c": w.shape[0], "p": prod(spatial)}
    row = at.k.compute("conv", axes, body, pixels_in_a_row(at.k.layouts.get(at.shape())))
    image = dict(zip(["n", "c", *spatial_names(len(spatial))], at.shape(), strict=True))

    def pixel(n: Index, c: Index, *place: Index) -> Scalar:
        return row.read([n, c, linear(place, spatial)])

    return at.k.compute("image", image, pixel)


def pixels_in_a_row(image: AffineMapAttr | None) -> AffineMapAttr | None:
    """The layout of [n, c, pixels] that puts them where a layout of blocked channels does."""
    if image is None:
        return None
    _, block, *_, lane = image.data.results
    assert used(block)[0] == used(lane)[0] == {1}, "layouts of images have blocks of channels"
    return AffineMapAttr(AffineMap(3, 0, (dim(0), block, dim(2), lane)))


def add_bias(at: Site, product: Tensor, bias: Tensor | None) -> Tensor:
    """The bias of each output channel, and the rounding to the result's element type."""
    if bias is None:
        return at.rounded(product, at.dtype())
    axes = dict(zip(product.names, product.shape, strict=True))

    def body(*indices: Index) -> Scalar:
        return (product[indices] + bias[indices[1]].cast(product.dtype)).cast(at.dtype())

    return at.k.compute("bias", axes, body)


def lower_conv_transpose(op: ConvTransposeOp, at: Site) -> Sequence[Tensor]:
    """y[n, c, o] = sum over ic, k of x[n, ic, (o + pad - k * dilation) / stride] * w[ic, c, k].

    A term is there where the division is exact and inside the input.
    """
    x, w, bias = at[op.x], at[op.w], at.maybe(op.b)
    window = op.window
    assert window is not None, "the convolution's shapes are known"
    group = op.group.value.data
    in_group, out_group = x.shape[1] // group, w.shape[1]
    axes = dict(zip(["n", "c", *spatial_names(x.rank - 2)], at.shape(), strict=True))
    dtype = wide(x.dtype)

    def body(n: Index, c: Index, *out: Index) -> Reduction:
        def term(ic: Index, *kernel: Index) -> Scalar:
            channel = ic if group == 1 else c // out_group * in_group + ic
            scaled = _transposed_position(window, out, kernel)
            places = [place // s for place, s in zip(scaled, window.strides, strict=True)]
            data = x.read([n, channel, *places], 0.0).cast(dtype)
            product = data * w[channel, c % out_group, *kernel].cast(dtype)
            return _where_exact(product, scaled, window.strides)

        return at.k.sum({"ic": in_group, **kernel_axes(window.kernel)}, term)

    return [add_bias(at, at.k.compute("conv_transpose", axes, body), bias)]


def _transposed_position(
    window: Window, out: Sequence[Index], kernel: Sequence[Index]
) -> list[Index]:
    return [
        o + pad - k * dilation
        for o, k, pad, dilation in zip(
            out, kernel, sizes(window.begin), window.dilations, strict=True
        )
    ]


def _where_exact(product: Scalar, scaled: Sequence[Index], strides: Sequence[int]) -> Scalar:
    for place, stride in zip(scaled, strides, strict=True):
        if stride > 1:
            product = fn.where((place % stride).eq(0), product, 0.0)
    return product


LOWERINGS: dict[str, Lowering] = {
    "graph.conv": lower_conv,
    "graph.conv_transpose": lower_conv_transpose,
}
