"""Code generation: LLVM IR text -> relocatable object, or assembly to read."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Protocol

from ...core.errors import PassError, UnsupportedError


class MachineDescription(Protocol):
    """What code generation needs to know of a target (`targets.Target` has more)."""

    @property
    def triple(self) -> str:
        """LLVM's target triple, "" for this process."""
        ...

    @property
    def cpu(self) -> str:
        """LLVM's name of the processor."""
        ...

    @property
    def features(self) -> str:
        """LLVM's features: "+avx512f,-avx10.1"."""
        ...


@cache
def binding() -> Any:
    """Llvmlite's binding module, initialised for every target it was built with."""
    llvm = import_module("llvmlite.binding")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm


def host_cpu() -> tuple[str, str, str]:
    """(triple, cpu, features) of this machine, as LLVM names them."""
    llvm = binding()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), features


@cache
def _target_machine(triple: str, cpu: str, features: str) -> Any:
    """Position independent, small code model: constants are read relative to the code."""
    llvm = binding()
    try:
        target = llvm.Target.from_triple(triple or llvm.get_process_triple())
    except RuntimeError as error:
        raise UnsupportedError(f"LLVM has no code generator for '{triple}': {error}") from None
    return target.create_target_machine(
        cpu=cpu, features=features, opt=2, reloc="pic", codemodel="small"
    )


def _parsed(llvm_text: str, machine: Any) -> Any:
    llvm = binding()
    try:
        module = llvm.parse_assembly(llvm_text)
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise PassError(f"LLVM refuses the emitted code: {error}") from None
    return module


def compile(llvm_text: str, target: MachineDescription) -> bytes:
    """Object code for a module of LLVM IR text, optimisation level 2 of code generation only.

    Raises: PassError: the text is not valid LLVM IR. UnsupportedError: unknown triple.
    """
    machine = _target_machine(target.triple, target.cpu, target.features)
    with _parsed(llvm_text, machine) as module:
        return machine.emit_object(module)


def assembly(llvm_text: str, target: MachineDescription) -> str:
    """As `compile`, but as assembly text."""
    machine = _target_machine(target.triple, target.cpu, target.features)
    with _parsed(llvm_text, machine) as module:
        return machine.emit_assembly(module)
