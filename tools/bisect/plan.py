"""Where a program of right kernels goes wrong: whose memory is written while it is needed.

The launches run one by one. Before each, what it reads is compared with what was written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from ...compiler.program import Compiled
from ...core.dtypes import numpy_dtype
from ...dialects import te
from ...dialects.loop import BufferType
from ...runtime.arrays import Array
from ...runtime.executable import Workspace
from ...runtime.profile import Launched, Stepper
from .kernels import calls_of


@dataclass(frozen=True)
class Overwritten:
    """A value that is destroyed before its last use.

    Attributes:
        value: what is gone.
        reader: the call that needs it.
        writer: the call after which it is gone, if that was seen; the reader itself, where its
            results or temporaries lie in the same memory.
    """

    value: SSAValue
    reader: te.CallOp
    writer: te.CallOp | None


@dataclass
class _Live:
    value: SSAValue
    pointer: tuple[int, int]
    buffer: BufferType
    content: Array


def find_overwritten(compiled: Compiled, inputs: Mapping[str, Array]) -> Overwritten | None:
    """Run step by step; the first value that is not what its kernel wrote when it is read."""
    watch = _Watch(compiled)
    Stepper(compiled.executable, watch).run(inputs)
    return watch.found


class _Watch:
    """Looks at memory before and after each launch."""

    def __init__(self, compiled: Compiled):
        self.compiled = compiled
        self.calls = iter(self._phases())
        self.live: dict[SSAValue, _Live] = {}
        self.gone: dict[SSAValue, te.CallOp] = {}
        self.found: Overwritten | None = None

    def _phases(self) -> list[tuple[te.CallOp, bool, bool]]:
        """For each launch its call, whether it is the first one of it, and the last."""
        found: list[tuple[te.CallOp, bool, bool]] = []
        for call in calls_of(self.compiled.module):
            code = self.compiled.kernels.code[call.callee.root_reference.data]
            count = sum(1 for _, extent in code.phases if extent)
            found += [(call, at == 0, at == count - 1) for at in range(count)]
        return found

    def __call__(self, launched: Launched) -> None:
        if self.found is not None:
            return
        call, is_first, is_last = next(self.calls)
        code = self.compiled.kernels.code[call.callee.root_reference.data]
        places = list(zip(launched.launch.pointers, code.args, strict=False))
        if is_first:
            self._before(call, launched.workspace)
        launched.run()
        if is_last:
            self._after(call, places, launched.workspace)

    def _before(self, call: te.CallOp, workspace: Workspace) -> None:
        for operand in call.operands:
            live = self.live.get(operand)
            if live is not None and not _same(live, workspace):
                self.found = Overwritten(operand, call, self.gone.get(operand))
                return

    def _after(
        self,
        call: te.CallOp,
        places: list[tuple[tuple[int, int], BufferType]],
        workspace: Workspace,
    ) -> None:
        for value, live in self.live.items():
            if value not in self.gone and not _same(live, workspace):
                self.gone[value] = call
                if value in call.operands:  # while it reads it
                    self.found = Overwritten(value, call, call)
        for value, (pointer, buffer) in zip(
            call.results, places[len(call.operands) :], strict=False
        ):
            self.live[value] = _Live(value, pointer, buffer, _read(pointer, buffer, workspace))


def _same(live: _Live, workspace: Workspace) -> bool:
    return bool((_read(live.pointer, live.buffer, workspace) == live.content).all())


def _read(pointer: tuple[int, int], buffer: BufferType, workspace: Workspace) -> Array:
    """The bytes of a buffer, copied."""
    import ctypes

    slot, offset = pointer
    size = buffer.num_elements * numpy_dtype(buffer.element_type).itemsize
    address = int(workspace.frame[slot]) + offset
    return np.frombuffer(ctypes.string_at(address, size), np.uint8)
