"""How much memory a running call takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from .executable import Executable, is_staged
from .program import Segment, TensorSpec


@dataclass(frozen=True)
class MemoryUse:
    """Bytes while one call runs; a concurrent call takes all but the constants once more.

    Attributes:
        intermediates: the arena, in which buffers that are not alive together share their place.
        scratch: of all threads.
        constants: weights as the kernels read them; other executables of the model share them.
        staged: copies of small inputs and outputs.
        outputs: new arrays, if the caller gives none; those whose extents are not known are left
            out, as is what host steps take.
    """

    intermediates: int
    scratch: int
    constants: int
    staged: int
    outputs: int

    @staticmethod
    def of(executable: Executable) -> MemoryUse:
        """The memory of a call of this executable, the inputs not counted."""
        program = executable.program
        written = [
            TensorSpec("", shape, dtype)
            for step in program.steps
            if isinstance(step, Segment)
            for _, shape, dtype in step.writes
        ]
        staged = [spec for spec in (*program.inputs, *written) if is_staged(spec.shape, spec.dtype)]
        return MemoryUse(
            intermediates=program.arena_bytes,
            scratch=program.scratch_bytes * executable.threads,
            constants=sum(array.nbytes for array in program.constants.values()),
            staged=sum(map(_size, staged)),
            outputs=sum(_size(spec) for spec in executable.outputs if -1 not in spec.shape),
        )

    @property
    def peak(self) -> int:
        """All together."""
        return self.intermediates + self.scratch + self.constants + self.staged + self.outputs


def _size(spec: TensorSpec) -> int:
    return prod(spec.shape) * spec.dtype.itemsize
