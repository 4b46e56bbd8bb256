"""The dataflow graph of a module: nodes, edges, groups; for pictures (`-t dot`, pages, SVG).

    flow = dataflow(module)
    flow.nodes      ops, arguments of blocks
    flow.edges      a value from the node that makes it to one that uses it
    flow.groups     regions: what an op with regions holds

Kernels are one node each; what their bodies take from outside are edges to that node. Nothing here
writes text: labels, colours and shapes are the business of whoever draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from xdsl.dialects.builtin import ModuleOp, StringAttr, SymbolRefAttr
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.traits import ConstantLike, IsTerminator

from .locations import model_names
from .walk import children, walk


class Kind(StrEnum):
    """What a node stands for."""

    ARGUMENT = "argument"
    CONSTANT = "constant"
    KERNEL = "kernel"
    OP = "op"
    TERMINATOR = "terminator"


@dataclass(frozen=True, eq=False)
class Group:
    """What an op with regions holds.

    Attributes:
        number: its position in `Dataflow.groups`; a group comes after the one around it.
        op: whose regions these are.
        around: the group that holds the op, None at the top.
    """

    number: int
    op: Operation
    around: Group | None


@dataclass(frozen=True, eq=False)
class Node:
    """An op, or an argument of a block.

    Attributes:
        number: its position in `Dataflow.nodes`, which are in program order.
        title: the op's name, with its symbol if it has one; an argument's name.
        names: the model's nodes that it came from, in order.
        source: what it stands for. An op that is drawn as a group has a node in that group.
    """

    number: int
    kind: Kind
    title: str
    names: tuple[str, ...]
    source: Operation | BlockArgument
    group: Group | None


@dataclass(frozen=True)
class Edge:
    """A value that one node makes and another one uses."""

    source: Node
    target: Node
    value: SSAValue


@dataclass
class Dataflow:
    """The whole graph, in program order."""

    nodes: list[Node] = field(default_factory=list[Node])
    edges: list[Edge] = field(default_factory=list[Edge])
    groups: list[Group] = field(default_factory=list[Group])


def is_kernel(op: Operation) -> bool:
    """Whether an op is one step of a network: a kernel of any dialect, a compute, a statement."""
    dialect, _, word = op.name.partition(".")
    return word == "kernel" or (dialect, word) in _BODIES


_BODIES = frozenset({("te", "compute"), ("te", "scan"), ("loop", "stmt"), ("sched", "schedule")})


def is_body(op: Operation) -> bool:
    """Whether an op's region is a scalar body or a schedule, never worth a group of its own."""
    return is_kernel(op) and not op.name.endswith(".kernel")


def dataflow(
    root: Operation,
    *,
    collapse: Callable[[Operation], bool] = is_kernel,
    constants: bool = True,
) -> Dataflow:
    """The graph of what is in `root`.

    Args:
        root: a module, or any op with regions.
        collapse: which ops with regions are one node.
        constants: give constants nodes; without, values of constants have no edges either.
    """
    return _Drawing(collapse, constants).draw(root)


class _Drawing:
    def __init__(self, collapse: Callable[[Operation], bool], constants: bool):
        self._collapse = collapse
        self._constants = constants
        self._made = Dataflow()
        self._makers: dict[SSAValue, Node] = {}
        self._results: dict[SSAValue, Operation] = {}
        """Results of groups, and the terminators that hand them out."""
        self._uses: list[tuple[SSAValue, Node]] = []

    def draw(self, root: Operation) -> Dataflow:
        stack: list[tuple[Operation, Group | None]] = [
            (op, None) for op in reversed(children(root) if isinstance(root, ModuleOp) else [root])
        ]
        while stack:
            op, group = stack.pop()
            inner = self._op(op, group)
            if inner is not None:
                stack += [(child, inner) for child in reversed(children(op))]
        # Definitions may stand behind uses in the text; terminators come last in their groups.
        of_op = {node.source: node for node in self._made.nodes}
        self._makers |= {value: of_op[op] for value, op in self._results.items() if op in of_op}
        for value, node in self._uses:
            maker = self._makers.get(value)
            if maker is not None and maker is not node:
                self._made.edges.append(Edge(maker, node, value))
        return self._made

    def _op(self, op: Operation, group: Group | None) -> Group | None:
        """Add an op; the group to put its inner ops into, if they are drawn."""
        is_constant = op.has_trait(ConstantLike, value_if_unregistered=False)
        if is_constant and not self._constants:
            return None
        if not op.regions or self._collapse(op):
            node = self._node(_kind(op, is_constant), title(op), op, group)
            values = [*op.operands, *(captures(op) if op.regions else ())]
            self._uses += [(value, node) for value in dict.fromkeys(values)]
            self._makers |= dict.fromkeys(op.results, node)
            return None
        inner = Group(len(self._made.groups), op, group)
        self._made.groups.append(inner)
        for region in op.regions:
            for block in region.blocks:
                self._arguments(block, inner)
        self._join(op, inner)
        return inner

    def _join(self, op: Operation, group: Group) -> None:
        """Lead operands into a group and results out of it.

        Where the entry block's arguments are the operands, and what its terminator takes are the
        results, values go straight there; otherwise the op has a node of its own in the group.
        """
        entry = op.regions[0].blocks.first
        last = None if entry is None else entry.last_op
        if entry is None or last is None or list(entry.arg_types) != list(op.operand_types):
            entry = None
        if last is None or list(last.operand_types) != list(op.result_types):
            last = None
        inputs = bool(op.operands) and entry is None
        outputs = bool(op.results) and last is None
        if inputs or outputs:
            node = self._node(Kind.OP, title(op), op, group)
            if inputs:
                self._uses += [(value, node) for value in dict.fromkeys(op.operands)]
            if outputs:
                self._makers |= dict.fromkeys(op.results, node)
        if entry is not None and not inputs:
            self._uses += [
                (value, self._makers[argument])
                for value, argument in zip(op.operands, entry.args, strict=True)
            ]
        if last is not None and not outputs:
            self._results |= dict.fromkeys(op.results, last)

    def _arguments(self, block: Block, group: Group) -> None:
        for argument in block.args:
            name = argument.name_hint or str(argument.index)
            node = self._node(Kind.ARGUMENT, name, argument, group)
            self._makers[argument] = node

    def _node(
        self, kind: Kind, title: str, source: Operation | BlockArgument, group: Group | None
    ) -> Node:
        names = model_names([source.location]) if isinstance(source, Operation) else []
        node = Node(len(self._made.nodes), kind, title, tuple(names), source, group)
        self._made.nodes.append(node)
        return node


def _kind(op: Operation, is_constant: bool) -> Kind:
    if is_constant:
        return Kind.CONSTANT
    if op.regions and is_kernel(op):
        return Kind.KERNEL
    return Kind.TERMINATOR if op.has_trait(IsTerminator, value_if_unregistered=False) else Kind.OP


def title(op: Operation) -> str:
    """`graph.conv`; with the symbol that the op defines or calls: `graph.kernel @conv_relu`."""
    for key in ("sym_name", "callee"):
        match op.properties.get(key, op.attributes.get(key)):
            case StringAttr(data=name) | SymbolRefAttr(root_reference=StringAttr(data=name)):
                return f"{op.name} @{name}"
            case _:
                pass
    return op.name


def captures(op: Operation) -> Iterator[SSAValue]:
    """The values that the ops inside `op` use and that are made outside of it, in order."""
    inside: set[SSAValue] = set()
    seen: set[SSAValue] = set()
    for inner in walk(op):
        inside.update(inner.results)
        for region in inner.regions:
            for block in region.blocks:
                inside.update(block.args)
        for value in inner.operands if inner is not op else ():
            if value not in inside and value not in seen:
                seen.add(value)
                yield value
