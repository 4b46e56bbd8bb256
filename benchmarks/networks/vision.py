"""The well-known image networks, and one of fully connected layers."""

from __future__ import annotations

import onnx

from .net import Net

CLASSES = 1000


def _image_net(name: str, batch: int, seed: int) -> Net:
    return Net(name, (batch, 3, 224, 224), seed)


def mlp(batch: int) -> onnx.ModelProto:
    """784-512-512-10."""
    net = Net("mlp", (batch, 784), 1)
    x = net.relu(net.dense("x", 512))
    x = net.relu(net.dense(x, 512))
    return net.model(net.dense(x, 10))


def vgg16(batch: int) -> onnx.ModelProto:
    """Configuration D: 3x3 convolutions with biases, no batch norm."""
    net = _image_net("vgg16", batch, 2)
    x = "x"
    for channels, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            x = net.relu(net.conv(x, channels, 3, bias=True))
        x = net.max_pool(x, 2, 2)
    x = net.add("Flatten", x, channels=512 * 7 * 7)
    for _ in range(2):
        x = net.relu(net.dense(x, 4096))
    return net.model(net.dense(x, CLASSES))


def _stem(net: Net) -> str:
    x = net.relu(net.batch_norm(net.conv("x", 64, 7, 2)))
    return net.max_pool(x, 3, 2, 1)


def resnet18(batch: int) -> onnx.ModelProto:
    """Basic blocks, two of each width."""
    net = _image_net("resnet18", batch, 3)
    x = _stem(net)
    for channels in (64, 128, 256, 512):
        for first in (True, False):
            stride = 2 if first and channels > 64 else 1
            y = net.relu(net.batch_norm(net.conv(x, channels, 3, stride)))
            y = net.batch_norm(net.conv(y, channels, 3))
            if stride > 1:
                x = net.batch_norm(net.conv(x, channels, 1, stride))
            x = net.relu(net.add("Add", y, x))
    return net.model(net.dense(net.global_pool(x), CLASSES))


def resnet50(batch: int) -> onnx.ModelProto:
    """Bottleneck blocks with the stride on the 3x3 convolution."""
    net = _image_net("resnet50", batch, 4)
    x = _stem(net)
    for width, repeats in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for number in range(repeats):
            stride = 2 if number == 0 and width > 64 else 1
            y = net.relu(net.batch_norm(net.conv(x, width, 1)))
            y = net.relu(net.batch_norm(net.conv(y, width, 3, stride)))
            y = net.batch_norm(net.conv(y, 4 * width, 1))
            if number == 0:
                x = net.batch_norm(net.conv(x, 4 * width, 1, stride))
            x = net.relu(net.add("Add", y, x))
    return net.model(net.dense(net.global_pool(x), CLASSES))


def mobilenetv2(batch: int) -> onnx.ModelProto:
    """Inverted residuals: expand, depthwise, project."""
    net = _image_net("mobilenetv2", batch, 5)
    x = net.relu6(net.batch_norm(net.conv("x", 32, 3, 2)))
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
    for expand, channels, repeats, stride in (*stages, (6, 160, 3, 2), (6, 320, 1, 1)):
        for number in range(repeats):
            x = _inverted_residual(net, x, expand, channels, stride if number == 0 else 1)
    x = net.relu6(net.batch_norm(net.conv(x, 1280, 1)))
    return net.model(net.dense(net.global_pool(x), CLASSES))


def _inverted_residual(net: Net, x: str, expand: int, channels: int, stride: int) -> str:
    hidden = net.channels[x] * expand
    y = net.relu6(net.batch_norm(net.conv(x, hidden, 1))) if expand > 1 else x
    y = net.relu6(net.batch_norm(net.conv(y, hidden, 3, stride, groups=hidden)))
    y = net.batch_norm(net.conv(y, channels, 1))
    same = stride == 1 and channels == net.channels[x]
    return net.add("Add", x, y) if same else y


def efficientnet_b0(batch: int) -> onnx.ModelProto:
    """Inverted residuals with SiLU and squeeze-and-excitation."""
    net = _image_net("efficientnet_b0", batch, 6)
    x = net.silu(net.batch_norm(net.conv("x", 32, 3, 2)))
    stages = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    for expand, channels, repeats, stride, kernel in stages:
        for number in range(repeats):
            step = stride if number == 0 else 1
            x = _excited_residual(net, x, expand, channels, step, kernel)
    x = net.silu(net.batch_norm(net.conv(x, 1280, 1)))
    return net.model(net.dense(net.global_pool(x), CLASSES))


def _excited_residual(
    net: Net, x: str, expand: int, channels: int, stride: int, kernel: int
) -> str:
    narrow = net.channels[x]
    hidden = narrow * expand
    y = net.silu(net.batch_norm(net.conv(x, hidden, 1))) if expand > 1 else x
    y = net.silu(net.batch_norm(net.conv(y, hidden, kernel, stride, groups=hidden)))
    squeezed = net.add("GlobalAveragePool", y)
    squeezed = net.silu(net.conv(squeezed, max(1, narrow // 4), 1, bias=True))
    gate = net.add("Sigmoid", net.conv(squeezed, hidden, 1, bias=True))
    y = net.batch_norm(net.conv(net.add("Mul", y, gate), channels, 1))
    return net.add("Add", y, x) if stride == 1 and channels == narrow else y


def convnext_tiny(batch: int) -> onnx.ModelProto:
    """7x7 depthwise convolutions, layer norms and linear layers over channels that stand last."""
    net = _image_net("convnext_tiny", batch, 7)
    x = _norm_of_image(net, net.conv("x", 96, 4, 4, pad=0, bias=True))
    for channels, repeats in ((96, 3), (192, 3), (384, 9), (768, 3)):
        if channels > 96:
            x = net.conv(_norm_of_image(net, x), channels, 2, 2, pad=0, bias=True)
        for _ in range(repeats):
            y = net.conv(x, channels, 7, groups=channels, bias=True)
            y = net.layer_norm(net.add("Transpose", y, perm=[0, 2, 3, 1]))
            y = net.linear(net.gelu(net.linear(y, 4 * channels)), channels)
            y = net.add("Mul", y, net.uniform(0.05, 0.3, channels))
            x = net.add("Add", x, net.add("Transpose", y, perm=[0, 3, 1, 2]))
    x = net.layer_norm(net.global_pool(x))
    return net.model(net.dense(x, CLASSES))


def _norm_of_image(net: Net, x: str) -> str:
    x = net.layer_norm(net.add("Transpose", x, perm=[0, 2, 3, 1]))
    return net.add("Transpose", x, perm=[0, 3, 1, 2])
