"""Passes over graph: tensors in, tensors out."""
