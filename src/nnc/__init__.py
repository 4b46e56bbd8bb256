"""A neural-network compiler: graph, te, sched and loop dialects on xDSL, down to machine code.

    model = nnc.compile("model.onnx")
    outputs = model({"input": array})

Everything is imported at first use: `import nnc` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiler.build import build
    from .compiler.extend import (
        register_frontend,
        register_op,
        register_pass,
        register_schedule,
        register_target,
    )
    from .compiler.model import Model, compile
    from .core.errors import (
        ExpressionError,
        InputError,
        ModelError,
        NncError,
        PassError,
        ScheduleError,
        TextError,
        UnsupportedError,
    )
    from .runtime.device import cpu
    from .textir import parse

__version__ = "0.1.0"

_HOME = {
    "build": "compiler.build",
    "compile": "compiler.model",
    "Model": "compiler.model",
    "cpu": "runtime.device",
    "parse": "textir",
    **dict.fromkeys(
        (
            "register_frontend",
            "register_op",
            "register_pass",
            "register_schedule",
            "register_target",
        ),
        "compiler.extend",
    ),
    **dict.fromkeys(
        (
            "ExpressionError",
            "InputError",
            "ModelError",
            "NncError",
            "PassError",
            "ScheduleError",
            "TextError",
            "UnsupportedError",
        ),
        "core.errors",
    ),
}
_MODULES = frozenset({"graph", "runtime", "symbol", "te"})
"""Public modules that are imported when they are first named: `nnc.symbol.Variable`."""

__all__ = [
    "ExpressionError",
    "InputError",
    "Model",
    "ModelError",
    "NncError",
    "PassError",
    "ScheduleError",
    "TextError",
    "UnsupportedError",
    "build",
    "compile",
    "cpu",
    "parse",
    "register_frontend",
    "register_op",
    "register_pass",
    "register_schedule",
    "register_target",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module 'nnc' has no attribute '{name}'")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])
