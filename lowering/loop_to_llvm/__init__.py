"""loop, tile form, to LLVM IR text."""

from .kernel import EmittedKernel, Phase, emit_kernel

__all__ = ["EmittedKernel", "Phase", "emit_kernel"]
