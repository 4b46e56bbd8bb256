"""One kernel as a Python function: for tests, benchmarks, and kernels without a network."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from ..core.dtypes import numpy_dtype
from ..core.errors import InputError, NncError
from ..dialects.loop import BufferType, KernelOp
from ..lowering.llvm_to_object import Library, link
from ..lowering.llvm_to_object import compile as to_object
from ..lowering.loop_to_llvm import EmittedKernel, emit_kernel
from ..lowering.program.memory import align
from ..lowering.program.packing import evaluate, pack
from ..runtime.arrays import Array, aligned_bytes, aligned_empty
from ..targets import Target, resolve

POISON_BYTE = 0xFF
GUARD = 1 << 16
"""Bytes around each buffer of a guarded call."""


class NativeKernel:
    """A kernel in tile form, compiled; call it with logical arrays.

    Args:
        kernel: a loop.kernel that `form_tiles` has seen.
        target: what to compile for; this machine must be able to run it.
    """

    def __init__(self, kernel: KernelOp, target: Target | None = None):
        self.emitted: EmittedKernel = emit_kernel(kernel, target or resolve())
        self.num_outputs = kernel.num_outputs.value.data
        symbols = [phase.symbol for phase in self.emitted.phases]
        code = to_object(self.emitted.llvm_text, target or resolve())
        self._library: Library = link([code], symbols)
        self.temporaries = [aligned_bytes(size) for size in self.emitted.temporaries]
        self.scratch = aligned_bytes(self.emitted.scratch_bytes)
        count = len(self.emitted.args) + len(self.temporaries) + 1
        pointers = [ctypes.c_void_p] * count
        prototype = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64, ctypes.c_int64)
        self.functions = [prototype(self._library.address(symbol)) for symbol in symbols]

    def bind(self, inputs: Sequence[Array]) -> BoundKernel:
        """The kernel on these inputs, packed once: what a benchmark calls.

        Raises: InputError: number, shape or dtype of the inputs.
        """
        packed = packed_inputs(self.emitted, self.num_outputs, inputs)
        types = self.emitted.args[len(packed) :]
        outputs = [aligned_empty(t.physical_shape, numpy_dtype(t.element_type)) for t in types]
        return BoundKernel(self, packed, outputs)

    def __call__(self, *inputs: Array) -> list[Array]:
        """The outputs for these inputs, as logical arrays; NaN where the kernel writes nothing."""
        bound = self.bind(inputs)
        bound.poison()
        bound()
        return bound.outputs()

    def guarded(self, *inputs: Array) -> list[Array]:
        """As a call, on copies with guards around them.

        Raises: NncError: it writes outside of a buffer, or to an input. InputError: as `bind`.
        """
        bound = self.bind(inputs)
        bound.poison()
        sizes = [buffer.nbytes for buffer in bound.buffers]
        starts = [GUARD + sum(align(size) + GUARD for size in sizes[:n]) for n in range(len(sizes))]
        memory = aligned_bytes(starts[-1] + align(sizes[-1]) + GUARD)
        memory.fill(POISON_BYTE)
        places = [memory[at : at + size] for at, size in zip(starts, sizes, strict=True)]
        for place, buffer in zip(places, bound.buffers, strict=True):
            place[:] = buffer.reshape(-1).view(np.uint8)
        before = memory.copy()
        bound.run([place.ctypes.data for place in places])
        written = memory != before
        for at, size in list(zip(starts, sizes, strict=True))[len(inputs) :]:
            written[at : at + size] = False
        if written.any():
            raise NncError(f"the code writes {int(written.sum())} bytes outside of its results")
        for place, buffer in list(zip(places, bound.buffers, strict=True))[len(inputs) :]:
            buffer.reshape(-1).view(np.uint8)[:] = place
        return bound.outputs()


class BoundKernel:
    """A kernel and the memory it works on."""

    def __init__(self, kernel: NativeKernel, inputs: list[Array], outputs: list[Array]):
        self._kernel, self._outputs = kernel, outputs
        self.buffers = [*inputs, *outputs, *kernel.temporaries, kernel.scratch]
        self._addresses = [buffer.ctypes.data for buffer in self.buffers]
        self._calls = list(zip(kernel.functions, kernel.emitted.phases, strict=True))

    def __call__(self) -> None:
        self.run(self._addresses)

    def run(self, addresses: Sequence[int]) -> None:
        """Run it on other memory of the same sizes."""
        for function, phase in self._calls:
            function(*addresses, 0, phase.extent)

    def poison(self) -> None:
        """Fill what the kernel writes with NaN, -1 or true: what is left over shows."""
        for buffer in (*self._outputs, *self._kernel.temporaries, self._kernel.scratch):
            buffer.reshape(-1).view(np.uint8).fill(POISON_BYTE)

    def outputs(self) -> list[Array]:
        """What the last call wrote, as logical arrays."""
        types = self._kernel.emitted.args[-len(self._outputs) :]
        return [unpacked(array, t) for array, t in zip(self._outputs, types, strict=True)]


def packed_inputs(emitted: EmittedKernel, num_outputs: int, inputs: Sequence[Array]) -> list[Array]:
    """The inputs of a kernel as it reads them.

    Raises: InputError: their number, a shape or a dtype.
    """
    types = emitted.args[: len(emitted.args) - num_outputs]
    if len(inputs) != len(types):
        raise InputError(f"expected {len(types)} inputs, got {len(inputs)}")
    return [_packed(i, array, types[i]) for i, array in enumerate(inputs)]


def _packed(position: int, array: Array, type_: BufferType) -> Array:
    dtype = numpy_dtype(type_.element_type)
    if array.shape != type_.extents or array.dtype.itemsize != dtype.itemsize:
        raise InputError(
            f"input {position}: expected {dtype.name}{list(type_.extents)}, "
            f"got {array.dtype.name}{list(array.shape)}"
        )
    return pack(np.ascontiguousarray(array).view(dtype), type_.layout_map, type_.physical_shape)


def unpacked(array: Array, type_: BufferType) -> Array:
    """The logical array that a physical buffer holds."""
    if array.shape == type_.extents and type_.layout.name == "none":
        return array
    indices = np.indices(type_.extents, np.int64)
    places = tuple(evaluate(expr, list(indices)) for expr in type_.layout_map.results)
    return array[places]
