"""Command lines, quick to start: nn-opt reads, transforms and prints IR; nnc runs models."""
