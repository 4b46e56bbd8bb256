"""Joins front ends, passes, lowerings and runtime: `nnc.compile` and `nnc.build`."""
