"""Other runtimes, each at its best: what makes them faster on one inference is switched on."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from nnc.tools.model.bench_worker import System, Task

Outputs = dict[str, Any]


def openvino(task: Task) -> System:
    """OpenVINO in fp32 for latency, its inputs bound once."""
    runtime: Any = import_module("openvino")
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": task["threads"],
    }
    compiled = runtime.Core().compile_model(task["model"], "CPU", settings)
    request = compiled.create_infer_request()
    names = [output.get_any_name() for output in compiled.outputs]
    bound: dict[str, Any] = {}

    def run(inputs: dict[str, Any]) -> Outputs:
        if any(bound.get(name) is not x for name, x in inputs.items()):
            bound.update(inputs)
            for name, array in inputs.items():
                request.set_tensor(name, runtime.Tensor(array, shared_memory=True))
        results = request.infer(share_outputs=True)
        return {name: results[number] for number, name in enumerate(names)}

    return run


def torch_compile(task: Task) -> System:
    """Inductor with frozen weights, a C++ wrapper, and no guards on what cannot change."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no processes of its own
    import onnx

    from .torch_module import torch_module
    from .torch_operators import torch

    config: Any = import_module("torch._inductor.config")
    config.freezing = True
    config.cpp_wrapper = True
    torch.set_num_threads(task["threads"])
    model = onnx.ModelProto.FromString(Path(task["model"]).read_bytes())
    names = [output.name for output in model.graph.output]
    order: list[str] = []
    compiled: list[Callable[..., Any]] = []

    def run(inputs: dict[str, Any]) -> Outputs:
        if not compiled:
            order.extend(inputs)
            guards = {"guard_filter_fn": torch.compiler.skip_all_guards_unsafe}
            module = torch_module(model, inputs)
            compiled.append(torch.compile(module, dynamic=False, options=guards))
        with torch.inference_mode():
            results = compiled[0](*[torch.from_numpy(inputs[name]) for name in order])
        return {name: result.numpy() for name, result in zip(names, results, strict=True)}

    return run
