"""NNVM's level 2: convolutions, pooling, and changing the size of images; any layout of NCHW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import ModelError
from .emit import Emitter, Value
from .operators import Dims, operator

IMAGE = "NCHW"
KERNEL = "OIHW"
UNDEFINED = "__undef__"


def order_of(layout: str, wanted: str, what: str) -> list[int] | None:
    """The transposition from one layout to another, `None` if they are the same.

    >>> order_of("NHWC", "NCHW", "layout")
    [0, 3, 1, 2]
    """
    if sorted(layout) != sorted(wanted):
        raise ModelError(f"{what} '{layout}' is not supported, expected an order of '{wanted}'")
    return None if layout == wanted else [layout.index(axis) for axis in wanted]


def transposed(emit: Emitter, value: Value, layout: str, wanted: str, what: str) -> Value:
    """`value` from one layout to another."""
    order = order_of(layout, wanted, what)
    return value if order is None else emit("Transpose", value, perm=order)


def both_sides(padding: tuple[int, ...]) -> list[int]:
    """NNVM's padding to ONNX's `[top, left, bottom, right]`: 1, 2 or all 4 numbers."""
    if len(padding) == 1:
        return [padding[0]] * 4
    if len(padding) == 2:
        return [*padding, *padding]
    if len(padding) == 4:
        return list(padding)
    raise ModelError(f"padding has 1, 2 or 4 numbers, got {padding}")


def _pair(values: tuple[int, ...], what: str) -> list[int]:
    if len(values) not in (1, 2):
        raise ModelError(f"{what} has 1 or 2 numbers, got {values}")
    return list(values) if len(values) == 2 else [values[0]] * 2


def _on_images(
    emit: Emitter, onnx_name: str, data: Value, *operands: Value | None, layout: str, **given: Any
) -> Value:
    """An operator on NCHW images, given and taken in `layout`."""
    data = transposed(emit, data, layout, IMAGE, "layout")
    return transposed(emit, emit(onnx_name, data, *operands, **given), IMAGE, layout, "layout")


def _windows(
    pool_size: tuple[int, ...], strides: tuple[int, ...], padding: tuple[int, ...], ceil_mode: bool
) -> dict[str, Any]:
    """The attributes of a pool."""
    return {
        "kernel_shape": _pair(pool_size, "pool_size"),
        "strides": _pair(strides, "strides"),
        "pads": both_sides(padding),
        "ceil_mode": int(ceil_mode),
    }


def _conv_shapes(attributes: Mapping[str, Any]) -> Mapping[str, Dims]:
    height, width = _pair(attributes["kernel_size"], "kernel_size")
    extents = {"O": attributes["channels"], "I": None, "H": height, "W": width}
    order_of(attributes["kernel_layout"], KERNEL, "kernel_layout")
    weight = tuple(extents[axis] for axis in attributes["kernel_layout"])
    return {"weight": weight, "bias": (attributes["channels"],)}


@operator(parameters=("weight", "bias"), switches={"bias": "use_bias"}, shapes=_conv_shapes)
def conv2d(
    emit: Emitter,
    data: Value,
    weight: Value,
    bias: Value | None,
    *,
    channels: int,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] = (0, 0),
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
    layout: str = IMAGE,
    kernel_layout: str = KERNEL,
    out_layout: str = UNDEFINED,
    out_dtype: str = "same",
    use_bias: bool = True,
) -> Value:
    """Convolution of images, `groups` of channels apart."""
    del channels, use_bias  # in the shapes
    data = transposed(emit, data, layout, IMAGE, "layout")
    weight = transposed(emit, weight, kernel_layout, KERNEL, "kernel_layout")
    result = emit(
        "Conv",
        data,
        weight,
        bias,
        kernel_shape=_pair(kernel_size, "kernel_size"),
        strides=_pair(strides, "strides"),
        pads=both_sides(padding),
        dilations=_pair(dilation, "dilation"),
        group=groups,
    )
    result = result if out_dtype == "same" else emit.cast(result, out_dtype)
    wanted = layout if out_layout == UNDEFINED else out_layout
    return transposed(emit, result, IMAGE, wanted, "out_layout")


def _transposed_shapes(attributes: Mapping[str, Any]) -> Mapping[str, Dims]:
    height, width = _pair(attributes["kernel_size"], "kernel_size")
    channels, groups = attributes["channels"], attributes["groups"]
    if groups < 1 or channels % groups:
        raise ModelError(f"{channels} channels in {groups} groups")
    extents = {"O": None, "I": channels // groups, "H": height, "W": width}
    order_of(attributes["kernel_layout"], KERNEL, "kernel_layout")
    weight = tuple(extents[axis] for axis in attributes["kernel_layout"])
    return {"weight": weight, "bias": (channels,)}


@operator(parameters=("weight", "bias"), switches={"bias": "use_bias"}, shapes=_transposed_shapes)
def conv2d_transpose(
    emit: Emitter,
    data: Value,
    weight: Value,
    bias: Value | None,
    *,
    channels: int,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...] = (1, 1),
    output_padding: tuple[int, ...] = (0, 0),
    padding: tuple[int, ...] = (0, 0),
    dilation: tuple[int, ...] = (1, 1),
    groups: int = 1,
    layout: str = IMAGE,
    kernel_layout: str = KERNEL,
    use_bias: bool = True,
) -> Value:
    """The transposed convolution; weight [input channels, channels / groups, height, width]."""
    del channels, use_bias  # in the shapes
    weight = transposed(emit, weight, kernel_layout, KERNEL, "kernel_layout")
    return _on_images(
        emit,
        "ConvTranspose",
        data,
        weight,
        bias,
        layout=layout,
        kernel_shape=_pair(kernel_size, "kernel_size"),
        strides=_pair(strides, "strides"),
        pads=both_sides(padding),
        dilations=_pair(dilation, "dilation"),
        output_padding=_pair(output_padding, "output_padding"),
        group=groups,
    )


@operator()
def max_pool2d(
    emit: Emitter,
    data: Value,
    *,
    pool_size: tuple[int, ...],
    strides: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] = (0, 0),
    layout: str = IMAGE,
    ceil_mode: bool = False,
) -> Value:
    """The largest of each window."""
    windows = _windows(pool_size, strides, padding, ceil_mode)
    return _on_images(emit, "MaxPool", data, layout=layout, **windows)


@operator()
def avg_pool2d(
    emit: Emitter,
    data: Value,
    *,
    pool_size: tuple[int, ...],
    strides: tuple[int, ...] = (1, 1),
    padding: tuple[int, ...] = (0, 0),
    layout: str = IMAGE,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Value:
    """The mean of each window."""
    windows = _windows(pool_size, strides, padding, ceil_mode)
    counts = int(count_include_pad)
    return _on_images(emit, "AveragePool", data, layout=layout, **windows, count_include_pad=counts)


@operator()
def global_max_pool2d(emit: Emitter, data: Value, *, layout: str = IMAGE) -> Value:
    """The largest of each channel."""
    return _on_images(emit, "GlobalMaxPool", data, layout=layout)


@operator()
def global_avg_pool2d(emit: Emitter, data: Value, *, layout: str = IMAGE) -> Value:
    """The mean of each channel."""
    return _on_images(emit, "GlobalAveragePool", data, layout=layout)


_METHODS = {"NEAREST_NEIGHBOR": "nearest", "BILINEAR": "linear"}


def _sampling(method: str, align_corners: bool) -> dict[str, Any]:
    """The attributes of a resize."""
    if method not in _METHODS:
        raise ModelError(f"method '{method}', expected one of {', '.join(_METHODS)}")
    return {
        "mode": _METHODS[method],
        "coordinate_transformation_mode": "align_corners" if align_corners else "asymmetric",
        "nearest_mode": "round_prefer_ceil" if align_corners else "floor",
    }


@operator()
def upsampling(
    emit: Emitter,
    data: Value,
    *,
    scale: int,
    layout: str = IMAGE,
    method: str = "NEAREST_NEIGHBOR",
    align_corners: bool = False,
) -> Value:
    """Height and width `scale` times as large."""
    order_of(layout, IMAGE, "layout")
    scales = [float(scale) if axis in "HW" else 1.0 for axis in layout]
    return emit(
        "Resize",
        data,
        None,
        emit.constant(scales, "float32"),
        **_sampling(method, align_corners),
    )


@operator()
def resize(
    emit: Emitter,
    data: Value,
    *,
    size: tuple[int, ...],
    layout: str = IMAGE,
    method: str = "BILINEAR",
    align_corners: bool = False,
) -> Value:
    """Height and width of `size`."""
    order_of(layout, IMAGE, "layout")
    if len(size) != 2:
        raise ModelError(f"size has 2 numbers, got {size}")
    return emit(
        "Resize",
        data,
        None,
        None,
        emit.constant(list(size)),
        axes=[layout.index("H"), layout.index("W")],
        **_sampling(method, align_corners),
    )
