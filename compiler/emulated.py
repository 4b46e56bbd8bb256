"""One kernel of another architecture as a Python function: linked for Linux there, run by qemu.

The object code is the one that `nnc compile --emit obj` writes. A program that reads the inputs,
calls the kernel and writes the outputs is made around it:

    _start: read(0, each input); kernel phases; write(1, each output); exit(0)
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import numpy as np

from ..core.dtypes import numpy_dtype
from ..core.errors import PassError, UnsupportedError
from ..dialects.loop import KernelOp
from ..lowering.llvm_to_object import compile as to_object
from ..lowering.loop_to_llvm import EmittedKernel, emit_kernel
from ..lowering.loop_to_llvm.kernel import buffer_bytes
from ..runtime.arrays import LINE, Array
from ..targets import Target, host
from .native import NativeKernel, packed_inputs, unpacked

MACHINE = "aarch64"
EMULATOR = f"qemu-{MACHINE}"
LINKER = f"{MACHINE}-linux-gnu-ld"
SYSTEM = Path(f"/usr/{MACHINE}-linux-gnu")
"""Debian's C library of that architecture."""
LOADER = Path("lib") / f"ld-linux-{MACHINE}.so.1"
PACKAGES = "qemu-user binutils-aarch64-linux-gnu libc6-arm64-cross"
SECONDS = 120
"""After which a run is given up."""


def can_emulate() -> bool:
    """Whether all that `EmulatedKernel` calls is installed."""
    return bool(which(EMULATOR) and which(LINKER) and (SYSTEM / LOADER).exists())


def can_run(target: Target) -> bool:
    """Whether code for a target runs here, in an emulator if need be.

    Of this machine's own architecture it must have all that the target uses.
    """
    return _is_native(target) or (target.triple.startswith(MACHINE) and can_emulate())


def runnable(kernel: KernelOp, target: Target) -> NativeKernel | EmulatedKernel:
    """A kernel in tile form, to be called: on this machine, else emulated.

    Raises: UnsupportedError: there is no emulator for it.
    """
    return (NativeKernel if _is_native(target) else EmulatedKernel)(kernel, target)


def _is_native(target: Target) -> bool:
    return target.triple.partition("-")[0] == host().triple.partition("-")[0]


class EmulatedKernel:
    """A kernel in tile form for aarch64; call it with logical arrays.

    The emulated processor is the target's: an instruction that it lacks ends the run.

    Args:
        kernel: a loop.kernel that `form_tiles` has seen.
        target: what to compile for.

    Raises: UnsupportedError: the emulator or the linker is not installed.
    """

    def __init__(self, kernel: KernelOp, target: Target):
        if not can_emulate() or not target.triple.startswith(MACHINE):
            raise UnsupportedError(
                f"cannot run code for {target.name} in an emulator",
                hint=f"aarch64 needs Debian's packages {PACKAGES}",
            )
        self.emitted: EmittedKernel = emit_kernel(kernel, target)
        self.num_outputs = kernel.num_outputs.value.data
        self._cpu = target.cpu
        objects = [
            to_object(self.emitted.llvm_text, target),
            to_object(program_text(self.emitted, self.num_outputs, target.triple), target),
        ]
        with TemporaryDirectory() as folder:
            self._program = _linked(objects, Path(folder))

    def __call__(self, *inputs: Array) -> list[Array]:
        """The outputs for these inputs, as logical arrays.

        Raises: InputError: number, shape or dtype of the inputs. PassError: the program fails.
        """
        packed = packed_inputs(self.emitted, self.num_outputs, inputs)
        types = self.emitted.args[len(packed) :]
        content = _run(self._program, self._cpu, b"".join(array.tobytes() for array in packed))
        outputs: list[Array] = []
        start = 0
        for type_ in types:
            dtype = numpy_dtype(type_.element_type)
            array = np.ndarray(type_.physical_shape, dtype, content, start)
            outputs.append(unpacked(array, type_))
            start += array.nbytes
        return outputs


def program_text(emitted: EmittedKernel, num_outputs: int, triple: str) -> str:
    """LLVM IR of the program around a kernel; its buffers are variables."""
    sizes = [t.num_elements * numpy_dtype(t.element_type).itemsize for t in emitted.args]
    rooms = [buffer_bytes(type_) for type_ in emitted.args]
    rooms += [*emitted.temporaries, emitted.scratch_bytes]
    names = [f"@buffer{number}" for number in range(len(rooms))]
    split = len(sizes) - num_outputs
    arguments = ", ".join(f"ptr {name}" for name in names)
    calls = [
        f'call void @"{phase.symbol}"({arguments}, i64 0, i64 {phase.extent})'
        for phase in emitted.phases
    ]
    moves = [
        f"call i64 @{'read' if number < split else 'write'}"
        f"(i32 {int(number >= split)}, ptr {names[number]}, i64 {size})"
        for number, size in enumerate(sizes)
    ]
    pointers = ", ".join(["ptr"] * len(names))
    return "\n".join(
        [
            f'target triple = "{triple}"',
            *(
                f"{name} = internal global [{max(room, 1)} x i8] zeroinitializer, align {LINE}"
                for name, room in zip(names, rooms, strict=True)
            ),
            *(f'declare void @"{phase.symbol}"({pointers}, i64, i64)' for phase in emitted.phases),
            "declare i64 @read(i32, ptr, i64)",
            "declare i64 @write(i32, ptr, i64)",
            "declare void @exit(i32)",
            "define void @_start() {",
            *moves[:split],
            *calls,
            *moves[split:],
            "call void @exit(i32 0)",
            "unreachable",
            "}",
        ]
    )


def _linked(objects: Sequence[bytes], folder: Path) -> bytes:
    names: list[str] = []
    for number, data in enumerate(objects):
        names.append(f"{number}.o")
        (folder / names[-1]).write_bytes(data)
    libraries = [str(SYSTEM / "lib" / name) for name in ("libm.so.6", "libc.so.6")]
    command = [LINKER, "-dynamic-linker", f"/{LOADER}", "-o", "program", *names, *libraries]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise PassError(f"the objects do not link: {done.stderr.decode(errors='replace')}")
    return (folder / "program").read_bytes()


def _run(program: bytes, cpu: str, content: bytes) -> bytes:
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "program").write_bytes(program)
        (folder / "program").chmod(0o700)
        (folder / "inputs").write_bytes(content)
        # Files, not pipes: one read then gives all of a buffer.
        with (folder / "inputs").open("rb") as inputs, (folder / "outputs").open("wb") as outputs:
            done = subprocess.run(
                [EMULATOR, "-cpu", cpu, "-L", str(SYSTEM), str(folder / "program")],
                stdin=inputs,
                stdout=outputs,
                stderr=subprocess.PIPE,
                timeout=SECONDS,
                check=False,
            )
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise PassError(f"the emulated program ended with {done.returncode}: {said}")
        return (folder / "outputs").read_bytes()
