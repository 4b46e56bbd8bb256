"""One system in a process of its own; `nnc.tools.model.processes` speaks to it."""

from __future__ import annotations

from nnc.tools.model.bench_worker import nnc, onnxruntime, serve
from systems import kernels, peers

SYSTEMS = {
    "nnc": nnc,
    "onnxruntime": onnxruntime,
    "openvino": peers.openvino,
    "torch": peers.torch_compile,
    "kernel": kernels.nnc_kernel,
    "numpy": kernels.numpy,
}

if __name__ == "__main__":
    serve(SYSTEMS)
