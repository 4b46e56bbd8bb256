"""What `nn-opt -t NAME` writes of kernels in tile form: LLVM IR, assembly, an object.

The machine is the module's `nnc.target`; all kernels stand in one module, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.utils.target import Target as OutputTarget

from ..core.errors import PassError
from ..dialects.loop import KernelOp
from ..targets import DEFAULT, Target, resolve


def machine_of(module: ModuleOp) -> Target:
    """The machine that a module is for; a fixed one where it does not say.

    Raises: UnsupportedError: no machine of that name.
    """
    named = module.attributes.get("nnc.target")
    return resolve(named.data if isinstance(named, StringAttr) else DEFAULT)


def kernel_texts(module: ModuleOp) -> Iterator[str]:
    """LLVM IR of each loop.kernel of a module.

    Raises: PassError: there is none, or one is not in tile form.
    """
    from .loop_to_llvm import emit_kernel

    kernels = [op for op in module.ops if isinstance(op, KernelOp)]
    if not kernels:
        raise PassError(
            "the module has no loop.kernel to emit",
            hint="run convert-te-to-loop and form-tiles first",
        )
    for kernel in kernels:
        yield emit_kernel(kernel, machine_of(module)).llvm_text


def module_text(module: ModuleOp) -> str:
    """LLVM IR of all kernels of a module, as one LLVM module."""
    from .llvm_to_object import merge_modules

    return merge_modules(kernel_texts(module))


@dataclass(frozen=True)
class LlvmTarget(OutputTarget):
    """LLVM IR text of every kernel."""

    name: ClassVar[str] = "llvm"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        output.write(module_text(module))


@dataclass(frozen=True)
class AssemblyTarget(OutputTarget):
    """Assembly of every kernel, for the module's machine."""

    name: ClassVar[str] = "asm"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        from .llvm_to_object import assembly

        output.write(assembly(module_text(module), machine_of(module)))


@dataclass(frozen=True)
class ObjectTarget(OutputTarget):
    """A relocatable object with every kernel, for the module's machine."""

    name: ClassVar[str] = "obj"

    def emit_bytes(self, ctx: Context, module: ModuleOp, output: IO[bytes]) -> None:
        """Write the object's bytes: ELF on Linux."""
        from .llvm_to_object import compile

        output.write(compile(module_text(module), machine_of(module)))

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        raise PassError("an object is bytes, not text", hint="nn-opt -t obj -o FILE writes it")
