"""The dataflow graph of a module as Graphviz text: `nn-opt -t dot net.nn | dot -Tsvg`."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.ir import Operation

from ..core.dataflow import Dataflow, Edge, Group, Kind, Node, dataflow, is_body, is_kernel, title
from .attribute_text import AttributeText

_STYLES = {
    Kind.ARGUMENT: "shape=ellipse, fillcolor=white",
    Kind.CONSTANT: 'shape=note, fillcolor="#eeeeee"',
    Kind.KERNEL: 'shape=box3d, fillcolor="#d5e8d4"',
    Kind.OP: 'shape=box, style="rounded,filled", fillcolor="#dae8fc"',
    Kind.TERMINATOR: 'shape=ellipse, fillcolor="#fff2cc"',
}
_SHOWN_NAMES = 3
"""Of the model's nodes that an op came from, a label has at most this many."""
_SHOWN_TYPE = 40


def dot_text(root: Operation, *, constants: bool = False, kernels: bool = False) -> str:
    """Graphviz text.

    Args:
        root: a module, or any op with regions.
        constants: draw constants too.
        kernels: draw what is in kernels.
    """
    collapse = is_body if kernels else is_kernel
    flow = dataflow(root, collapse=collapse, constants=constants)
    types = AttributeText(pretty=True)
    return "".join(f"{line}\n" for line in _lines(flow, types))


def _lines(flow: Dataflow, types: AttributeText) -> Iterator[str]:
    yield "digraph {"
    yield '  node [style=filled, fontname="Helvetica", fontsize=11]'
    yield '  edge [fontname="Helvetica", fontsize=9]'
    opened: list[Group] = []
    for group, content in _in_order(flow):
        while opened and opened[-1] is not group:
            opened.pop()
            yield f"{_indent(opened)}}}"
        if isinstance(content, Group):
            yield f"{_indent(opened)}subgraph cluster_{content.number} {{"
            opened.append(content)
            yield f"{_indent(opened)}label={_quoted(title(content.op))}"
            yield f"{_indent(opened)}labeljust=l"
        else:
            yield f"{_indent(opened)}n{content.number} [{_node(content)}]"
    while opened:
        opened.pop()
        yield f"{_indent(opened)}}}"
    for edge in flow.edges:
        yield f"  n{edge.source.number} -> n{edge.target.number} [label={_edge(edge, types)}]"
    yield "}"


def _in_order(flow: Dataflow) -> Iterator[tuple[Group | None, Group | Node]]:
    """Groups and nodes, each with what it stands in, so that groups can be written nested."""
    inside: dict[Group | None, list[Group | Node]] = {}
    for group in flow.groups:
        inside.setdefault(group.around, []).append(group)
    for node in flow.nodes:
        inside.setdefault(node.group, []).append(node)
    stack: list[tuple[Group | None, Group | Node]] = [
        (None, one) for one in reversed(inside.get(None, []))
    ]
    while stack:
        around, one = stack.pop()
        yield around, one
        if isinstance(one, Group):
            stack += [(one, inner) for inner in reversed(inside.get(one, []))]


def _indent(opened: list[Group]) -> str:
    return "  " * (len(opened) + 1)


def _node(node: Node) -> str:
    shown = ", ".join(node.names[:_SHOWN_NAMES])
    if len(node.names) > _SHOWN_NAMES:
        shown += ", ..."
    label = f"{shown}\n{node.title}" if shown else node.title
    return f"label={_quoted(label)}, {_STYLES[node.kind]}"


def _edge(edge: Edge, types: AttributeText) -> str:
    text = types.of(edge.value.type)
    if text.startswith(("tensor<", "buffer<", "tile<")):
        text = text[text.index("<") + 1 : -1]
    return _quoted(text if len(text) <= _SHOWN_TYPE else f"{text[:_SHOWN_TYPE]}...")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
