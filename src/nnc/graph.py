"""`nnc.graph.create(symbol)`: symbols as graphs (compiler/graph.py)."""

from .compiler.graph import Graph, GraphIndex, GraphNode, create

__all__ = ["Graph", "GraphIndex", "GraphNode", "create"]
