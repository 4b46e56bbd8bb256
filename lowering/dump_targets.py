"""What `nn-opt -t NAME` writes of any module, for other programs to read: a graph, JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.target import Target as OutputTarget


@dataclass(frozen=True)
class DotTarget(OutputTarget):
    """The dataflow graph for Graphviz."""

    name: ClassVar[str] = "dot"
    constants: bool = False
    """Draw constants too."""
    kernels: bool = False
    """Draw what is in kernels."""

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        from ..textir.dot import dot_text

        output.write(dot_text(module, constants=self.constants, kernels=self.kernels))


@dataclass(frozen=True)
class JsonTarget(OutputTarget):
    """Ops, operands, attributes and locations as JSON; `textir/structure.py` has the schema."""

    name: ClassVar[str] = "json"
    elide: int | None = None
    """Constants of more elements are left out."""

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        from ..textir.structure import json_text

        output.write(json_text(module, elide=self.elide))
