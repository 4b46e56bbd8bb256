"""The networks of the benchmarks by name: ONNX files, made or fetched once and kept in a cache."""

from .table import GROUPS, NETWORKS, Network

__all__ = ["GROUPS", "NETWORKS", "Network"]
