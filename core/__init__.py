"""Shared ground: no neural networks in it. Errors, catalogues, affine arithmetic, rewriting."""
