"""Upstream MLIR's tools around a module: lower it, translate it, compile it, call it."""

from __future__ import annotations

import ctypes
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from nnc.core.testing import mlir_opt
from nnc.core.verifier import problems
from nnc.textir import parse, print_module
from nnc.tools.opt.manager import PassManager
from nnc.tools.opt.pipeline import build
from nnc.tools.opt.registry import load

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[[str, Sequence[Array], Sequence[Array]], list[Array]]
"""(kernel, inputs, arrays of the results' shapes and dtypes) -> results."""

PAGE = Path(__file__).parents[2] / "docs" / "mlir.md"


def flags(name: str) -> str:
    """What docs/mlir.md has mlir-opt do after one of the bridges."""
    return PAGE.read_text().split(f"```text {name}.flags\n", 1)[1].split("```", 1)[0]


def descriptor(array: Array) -> Array:
    """A memref descriptor: pointers, offset, extents, strides, all of eight bytes."""
    strides = [stride // array.itemsize for stride in array.strides]
    pointer = array.ctypes.data
    return np.array([pointer, pointer, 0, *array.shape, *strides], np.int64)


class Upstream:
    """mlir-opt and mlir-translate of one installation."""

    def __init__(self, opt: str, translate: str):
        self.opt = opt
        self.translate = translate

    def tool(self, program: str, *flags: str, stdin: str) -> str:
        """What a tool prints; what it says instead is the failure."""
        done = subprocess.run(
            [program, *flags], input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stderr[:4000]}\n{stdin[:4000]}"
        return done.stdout

    def llvm_ir(self, mlir: str, name: str) -> str:
        """LLVM IR of a module, which may hold no unregistered op."""
        passes = shlex.split(flags(name))
        lowered = self.tool(self.opt, *passes, stdin=mlir)
        return self.tool(self.translate, "--mlir-to-llvmir", stdin=lowered)

    def compile(self, text: str, bridge: str) -> Call:
        """A function that runs the kernels of a module as upstream MLIR compiles it.

        Args:
            text: a module of ours.
            bridge: our passes, then the name of the flags in docs/mlir.md: "a,b|name".
        """
        ours, _, name = bridge.rpartition("|")
        return self.compile_module(parse(text, "kernel.nn"), ours, name)

    def compile_module(self, module: ModuleOp, ours: str, name: str) -> Call:
        """As `compile`; the module is changed."""
        registry = load()
        PassManager(build([ours], registry), registry.context()).run(module)
        assert not problems(module)
        return jit(self.llvm_ir(print_module(module, generic=True), name))


def jit(llvm_ir: str) -> Call:
    """Compile LLVM IR in this process."""
    from nnc.lowering.llvm_to_object.codegen import binding

    llvm = binding()
    engine = llvm.create_mcjit_compiler(
        llvm.parse_assembly(llvm_ir), llvm.Target.from_default_triple().create_target_machine()
    )
    engine.finalize_object()

    def call(kernel: str, inputs: Sequence[Array], like: Sequence[Array]) -> list[Array]:
        address = engine.get_function_address(f"_mlir_ciface_{kernel}")
        assert address, f"no {kernel}"
        results = [np.empty_like(each) for each in like]
        arrays = [*(np.ascontiguousarray(a).reshape(a.shape) for a in inputs), *results]
        descriptors = [descriptor(array) for array in arrays]
        pointers = [each.ctypes.data for each in descriptors]
        ctypes.CFUNCTYPE(None, *(ctypes.c_void_p for _ in pointers))(address)(*pointers)
        return results

    return call


@pytest.fixture(scope="session")
def upstream() -> Upstream:
    """Skips where a tool is missing; memrefCopy comes from the library beside the tools."""
    opt = mlir_opt()
    translate = next((t for n in ("-22", "") if (t := which(f"mlir-translate{n}"))), None)
    if opt is None or translate is None:
        pytest.skip("mlir-opt and mlir-translate are not installed")
    from nnc.lowering.llvm_to_object.codegen import binding

    folder = Path(opt).resolve().parents[1] / "lib"
    for library in sorted(folder.glob("libmlir_c_runner_utils.so*"))[:1]:
        binding().load_library_permanently(str(library))
    return Upstream(opt, translate)
