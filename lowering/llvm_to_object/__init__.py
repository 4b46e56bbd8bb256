"""LLVM IR text to object code, and that into this process: the only room that calls llvmlite.

Nothing but code generation runs here, no mid-level pass: what the loops say is what runs.
"""

from .codegen import MachineDescription, assembly, compile, host_cpu
from .linker import Library, link
from .merge import merge_modules

__all__ = [
    "Library",
    "MachineDescription",
    "assembly",
    "compile",
    "host_cpu",
    "link",
    "merge_modules",
]
