"""Nodes and edges of a compiled model: what runs, what of the model each came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from ...compiler.program import Compiled
from ...core.dataflow import Node as FlowNode
from ...core.dataflow import dataflow
from ...core.dtypes import numpy_dtype
from ...core.irtypes import tensor_element, tensor_shape
from ...core.locations import describe, source_names
from ...core.walk import walk
from ...dialects import te
from ...dialects.graph.base import ConstantOp, GraphOp
from ...dialects.index_space import REDUCE
from ...passes.graph.bind_inputs import input_names, main_function
from ...runtime.program import HostStep

CONTRACTION, REDUCTION, ELEMENTWISE, MOVEMENT = (
    "contraction",
    "reduction",
    "elementwise",
    "movement",
)
INPUT, OUTPUT, HOST, VIEW = "input", "output", "host", "view"
KINDS = {
    CONTRACTION: "products summed",
    REDUCTION: "reductions",
    ELEMENTWISE: "elementwise",
    MOVEMENT: "data moved",
    HOST: "host (Python)",
    VIEW: "view",
}
"""What the colours of boxes mean."""


_CHOICES = frozenset({"arith.constant", "arith.select", "arith.cmpi", "arith.andi", "arith.ori"})
"""What a compute that only moves elements may do, to choose among them."""


@dataclass
class Node:
    """An input, a call of a kernel, an operator that is no kernel, or an output.

    Attributes:
        rows: operator and name of each node of the model that it came from.
        kernels: the kernel; several for control flow, whose bodies call them.
        where: its location, as profiles have it.
    """

    kind: str
    title: str
    shape: str
    rows: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    kernels: list[str] = field(default_factory=list[str])
    where: str = ""


@dataclass
class Network:
    """Nodes in program order, and pairs of them: the second reads what the first writes.

    Attributes:
        folded: operator and name of nodes of the model that nothing is left of.
        order: place of every node of the model, by name.
    """

    nodes: list[Node]
    edges: list[tuple[int, int]]
    folded: list[tuple[str, str]]
    order: dict[str, int]


def network_of(compiled: Compiled, model: Operation) -> Network:
    """The network of a compiled model. `model`: its graph as it was imported."""
    operators = {
        name: op.name.removeprefix("graph.")
        for op in walk(model)
        if isinstance(op, GraphOp) and not isinstance(op, ConstantOp)
        for name in source_names([op.location])
    }
    builder = _Builder(compiled, operators)
    builder.build()
    named = {name for node in builder.nodes for _, name in node.rows}
    folded = [(op, name) for name, op in operators.items() if name not in named]
    order = {name: place for place, name in enumerate(operators)}
    return Network(builder.nodes, list(builder.edges), folded, order)


class _Builder:
    """Makes boxes of the dataflow of main: what runs where, and what of the model it is."""

    def __init__(self, compiled: Compiled, operators: Mapping[str, str]):
        self.nodes: list[Node] = []
        self.edges: dict[tuple[int, int], None] = {}
        self._main = main_function(compiled.module)
        self._operators = operators
        self._order = {name: place for place, name in enumerate(operators)}
        steps = compiled.executable.program.steps
        self._host = {step.where for step in steps if isinstance(step, HostStep)}
        self._outputs = [output.spec.name for output in compiled.executable.program.outputs]
        self._kernels = {
            op.sym_name.data: op for op in compiled.module.ops if isinstance(op, te.KernelOp)
        }
        calls = (op for op in walk(self._main) if isinstance(op, te.CallOp))
        self._calls = Counter(call.callee.string_value() for call in calls)

    def build(self) -> None:
        """Fill `nodes` and `edges`."""
        flow = dataflow(self._main, collapse=lambda op: op is not self._main, constants=False)
        numbers: dict[FlowNode, int] = {}
        names = iter(input_names(self._main))
        for node in flow.nodes:
            source = node.source
            if isinstance(source, BlockArgument):
                numbers[node] = self._add(Node(INPUT, next(names), shape_text(source.type)))
            elif isinstance(source, ReturnOp):
                makers = {each.value: each.source for each in flow.edges if each.target is node}
                self._add_outputs(source, {v: numbers[one] for v, one in makers.items()})
            else:
                numbers[node] = self._add(self._node(source))
        for edge in flow.edges:
            if edge.target in numbers:
                self.edges[numbers[edge.source], numbers[edge.target]] = None

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _add_outputs(self, op: ReturnOp, makers: Mapping[SSAValue, int]) -> None:
        """A box for each result of the model; a constant comes from nowhere."""
        for name, value in zip(self._outputs, op.operands, strict=True):
            number = self._add(Node(OUTPUT, name, shape_text(value.type)))
            if value in makers:
                self.edges[makers[value], number] = None

    def _node(self, op: Operation) -> Node:
        shape = ", ".join(shape_text(result.type) for result in op.results)
        called = [each.callee.string_value() for each in walk(op) if isinstance(each, te.CallOp)]
        kernels = list(dict.fromkeys(called))
        rows = self._rows(op, kernels)
        if isinstance(op, te.CallOp):
            kind = kernel_kind(self._kernels.get(kernels[0]))
            return Node(kind, kernels[0], shape, rows, kernels, describe(op))
        kind = HOST if describe(op) in self._host else VIEW
        return Node(kind, op.name.removeprefix("graph."), shape, rows, kernels, describe(op))

    def _rows(self, op: Operation, kernels: Sequence[str]) -> list[tuple[str, str]]:
        """A fused location is cut short; the kernel's ops know more, if only one call is theirs."""
        locations: list[Attribute] = [each.location for each in walk(op)]
        if (
            isinstance(op, te.CallOp)
            and self._calls[kernels[0]] == 1
            and kernels[0] in self._kernels
        ):
            locations += [each.location for each in walk(self._kernels[kernels[0]])]
        names = sorted(source_names(locations), key=lambda name: self._order.get(name, 0))
        return [(self._operators.get(name, ""), name) for name in names]


def kernel_kind(kernel: te.KernelOp | None) -> str:
    """What a kernel does for the most part, by its computes: none of an operator's name."""
    if kernel is None:  # written as loops
        return ELEMENTWISE
    kinds = {_compute_kind(op) for op in walk(kernel) if isinstance(op, te.ComputeOp)}
    order = (CONTRACTION, REDUCTION, ELEMENTWISE, MOVEMENT)
    return next((kind for kind in order if kind in kinds), MOVEMENT)


def _compute_kind(op: te.ComputeOp) -> str:
    names = Counter(inner.name for inner in walk(op))
    if any(axis.kind.data == REDUCE for axis in op.axes):
        is_product = names["te.read"] > 1 and any(map(_multiplies, walk(op)))
        return CONTRACTION if is_product else REDUCTION
    work = [name for name in names if name.startswith(("arith.", "math."))]
    return ELEMENTWISE if any(name not in _CHOICES for name in work) else MOVEMENT


def _multiplies(op: Operation) -> bool:
    """Whether it multiplies two values: a square is no product, as of a normalization."""
    return op.name in ("arith.mulf", "arith.muli") and op.operands[0] is not op.operands[1]


def shape_text(type_: Attribute) -> str:
    """`1x64x56x56 float32`."""
    extents = "x".join("?" if n < 0 else str(n) for n in tensor_shape(type_)) or "scalar"
    return f"{extents} {numpy_dtype(tensor_element(type_)).name}"
