"""`nnc.graph`: a network that is being built or transformed, in NNVM's manner.

g = nnc.graph.create(sym.relu(sym.Variable("x")))
print(g.ir())
g = g.apply(["infer-shapes", "canonicalize"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from xdsl.dialects.builtin import ModuleOp, NameLoc
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue

from ..core import extensions
from ..core.errors import ModelError, PassError, did_you_mean
from ..frontends.symbol import Symbol, module_of
from ..passes.graph.bind_inputs import input_names, main_function
from ..runtime.arrays import Array
from .pipelines import CATALOG, KIND, run_passes
from .signature import output_signatures
from .timing import Timings

NNVM_PASSES = {
    "InferShape": "infer-shapes",
    "InferType": "infer-shapes",
    "SimplifyInference": "simplify-inference",
    "PrecomputePrune": "fold-constants",
    "GraphFuse": "fuse",
}
"""NNVM's names of passes that have a counterpart here."""


@dataclass(frozen=True)
class GraphNode:
    """One operator or input of a graph: its inputs are (node id, output) pairs."""

    name: str
    op: str
    inputs: tuple[tuple[int, int], ...]
    attributes: Mapping[str, Attribute]


class GraphIndex:
    """The nodes of a graph by number: inputs first, then operators in order."""

    def __init__(self, module: ModuleOp):
        main = main_function(module)
        entries: dict[SSAValue, tuple[int, int]] = {}
        self.nodes: list[GraphNode] = []
        self.input_names = input_names(main)
        self.output_entries: list[tuple[int, int]] = []
        for name, argument in zip(self.input_names, main.body.block.args, strict=True):
            entries[argument] = (len(self.nodes), 0)
            self.nodes.append(GraphNode(name, "null", (), {}))
        for op in main.body.block.ops:
            inputs = tuple(entries[operand] for operand in op.operands)
            if isinstance(op, ReturnOp):
                self.output_entries = list(inputs)
                continue
            for at, result in enumerate(op.results):
                entries[result] = (len(self.nodes), at)
            self.nodes.append(GraphNode(_name(op, len(self.nodes)), op.name, inputs, op.properties))
        self._entry_ids = {entry: at for at, entry in enumerate(entries.values())}

    @property
    def num_nodes(self) -> int:
        """How many inputs and operators."""
        return len(self.nodes)

    @property
    def num_node_entries(self) -> int:
        """How many values."""
        return len(self._entry_ids)

    def node_id(self, name: str) -> int:
        """The number of the first node of this name.

        Raises: KeyError: there is none.
        """
        for at, node in enumerate(self.nodes):
            if node.name == name:
                return at
        raise KeyError(name)

    def entry_id(self, node: int | str, output: int = 0) -> int:
        """The number of a value: an output of a node given by number or name."""
        at = self.node_id(node) if isinstance(node, str) else node
        return self._entry_ids[(at, output)]


def _name(op: Operation, position: int) -> str:
    if isinstance(op.location, NameLoc):
        return op.location.desc.data
    return f"{op.name.removeprefix('graph.')}{position}"


class Graph:
    """A network as a module of the graph dialect.

    Attributes:
        module: `func.func @main` of graph operators; not to be changed.
        symbol: what it was made from, if it was.
        params: content of variables that were given with `init`.
    """

    def __init__(self, module: ModuleOp, symbol: Symbol | None, params: Mapping[str, Array]):
        self.module = module
        self.symbol = symbol
        self.params = dict(params)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return input_names(main_function(self.module))

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in order."""
        return [signature.name for signature in output_signatures(self.module)]

    @property
    def index(self) -> GraphIndex:
        """Nodes and values by number."""
        return GraphIndex(self.module)

    def ir(self) -> str:
        """The graph in our text form; `nnc.parse` reads it back."""
        from ..textir import print_module

        return print_module(self.module)

    def apply(self, passes: str | Sequence[str]) -> Graph:
        """A new graph: this one after passes, by our names or NNVM's.

        Raises: PassError: an unknown pass, or one that cannot go on.
        """
        given = [passes] if isinstance(passes, str) else list(passes)
        if wrong := [each for each in cast("list[object]", given) if not isinstance(each, str)]:
            raise PassError(f"expected the name of a pass, got {wrong[0]!r}")
        names = [NNVM_PASSES.get(name, name) for name in given]
        known = {*CATALOG, *extensions.table(KIND)}
        for name in names:
            if name not in known:
                hint = did_you_mean(name, sorted(known))
                raise PassError(f"there is no pass '{name}'", hint=hint)
        module = self.module.clone()
        run_passes(names, module, Timings())
        return Graph(module, self.symbol, self.params)

    def __repr__(self) -> str:
        return f"<Graph {', '.join(self.input_names)} -> {', '.join(self.output_names)}>"


def create(symbol: Symbol) -> Graph:
    """The graph of a symbol; shapes and element types that are not known stay open.

    Raises: ModelError, UnsupportedError: an operator does not fit its inputs, by its name.
    """
    if not isinstance(symbol, Symbol):  # pyright: ignore[reportUnnecessaryIsInstance]
        hint = "several are one by nnc.symbol.Group"
        raise ModelError(f"expected a symbol, got {symbol!r}", hint=hint)
    variables: list[Any] = [each.entry.node for each in symbol.list_input_variables()]
    params = {each.name: each.attributes["init"] for each in variables if "init" in each.attributes}
    return Graph(module_of(symbol), symbol, params)
