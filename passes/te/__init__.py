"""Passes over te kernels."""
