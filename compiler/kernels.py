"""Kernels to object code: equal ones once, in modules of several, LLVM on a thread of its own.

Two kernels are equal when their text is, names and locations left out; their weights are arguments.
While LLVM works on one module (without Python's lock), the next one is scheduled and emitted.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Self

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from ..core.errors import NncError, ScheduleError
from ..core.locations import describe
from ..dialects import sched, te
from ..dialects.loop import KernelOp, StmtOp
from ..lowering.llvm_to_object import compile as to_object
from ..lowering.llvm_to_object import merge_modules
from ..lowering.loop_to_llvm import EmittedKernel, emit_kernel
from ..lowering.program import KernelCode
from ..schedules.apply_schedules import apply_schedule
from ..schedules.library import schedule_kernel
from ..schedules.primitives.lookup import suggestion
from .keys import KernelKeys
from .options import Options
from .pipelines import FAST_TILES, TO_NEST, TO_TILES, run_passes
from .timing import Timings

MODULE_KERNELS = 8
"""Kernels in one LLVM module: fewer cost fixed time, more keep the LLVM thread waiting."""
ALONE_POINTS = 16_384
"""A kernel with fewer points than this takes some microseconds: not worth waking threads for."""


@dataclass
class Kernels:
    """The compiled kernels of a module.

    Attributes:
        code: what a call needs to know, by the kernel's symbol.
        symbols: the kernel's symbol in the object code, which equal kernels share.
        lowered: the loop.kernel in tile form, by its symbol in the object code.
        schedules: what was done to it, by its symbol in the object code.
        emitted: LLVM IR of each distinct kernel, by its symbol in the object code.
        objects: object code, being made.
    """

    code: dict[str, KernelCode] = field(default_factory=dict[str, KernelCode])
    symbols: dict[str, str] = field(default_factory=dict[str, str])
    lowered: dict[str, KernelOp] = field(default_factory=dict[str, KernelOp])
    schedules: dict[str, sched.ScheduleOp] = field(default_factory=dict[str, sched.ScheduleOp])
    emitted: dict[str, EmittedKernel] = field(default_factory=dict[str, EmittedKernel])
    objects: list[Future[bytes]] = field(default_factory=list[Future[bytes]])


class KernelWatcher:
    """Looks at a kernel on its way down. Does nothing by default."""

    def at_te(self, kernel: te.KernelOp) -> None:
        """Called with the copy that is going to be lowered."""

    def at_nest(self, kernel: KernelOp) -> None:
        """Called with the canonical nest, before the schedule."""

    def after_primitive(self, kernel: KernelOp, primitive: Operation) -> None:
        """Called after each primitive of a schedule that was given."""

    def at_scheduled(self, kernel: KernelOp) -> None:
        """Called after the schedule."""


def lower_kernel(
    kernel: te.KernelOp | KernelOp,
    schedule: sched.ScheduleOp | None,
    symbol: str,
    options: Options,
    timings: Timings,
    watcher: KernelWatcher | None = None,
) -> tuple[KernelOp, sched.ScheduleOp | None]:
    """A kernel in tile form, named `symbol`, and the schedule that it has. The original stays.

    A te.kernel without a schedule gets one from the library; a loop.kernel runs as it is written.
    Raises: NncError: the schedule is refused or a lowering fails, with the kernel's place.
    """
    copy = kernel.clone()
    copy.sym_name = StringAttr(symbol)
    module = ModuleOp([copy])
    watcher = watcher or KernelWatcher()
    if isinstance(copy, te.KernelOp):
        watcher.at_te(copy)
    try:
        run_passes(TO_NEST, module, timings)
        nest = next(op for op in module.ops if isinstance(op, KernelOp))
        watcher.at_nest(nest)
        with timings.stage("schedule"):
            if schedule is not None:
                apply_schedule(nest, schedule, partial(watcher.after_primitive, nest))
            elif isinstance(kernel, te.KernelOp):
                schedule = schedule_kernel(nest, options.target, options.numerics)
        watcher.at_scheduled(nest)
        if any(isinstance(op, StmtOp) for op in nest.walk()):
            run_passes(TO_TILES, module, timings)
            if options.numerics == "fast":
                run_passes(FAST_TILES, module, timings)
    except NncError as error:
        error.where = error.where or describe(kernel)
        raise
    return nest, schedule


def is_small(kernel: te.KernelOp | KernelOp) -> bool:
    """Whether one run evaluates so few scalar bodies that one thread does it alone."""
    if not isinstance(kernel, te.KernelOp):
        return False
    computes = [op for op in kernel.walk() if isinstance(op, te.ComputeOp)]
    return sum(prod(axis.size for axis in op.axes) for op in computes) < ALONE_POINTS


class KernelCompiler:
    """Compiles the kernels of one module; used as a context for its LLVM thread.

    Without `make_objects` it stops at LLVM IR text.
    """

    def __init__(self, options: Options, timings: Timings, *, make_objects: bool = True):
        self.options, self.timings, self.make_objects = options, timings, make_objects
        self.kernels = Kernels()
        self._keys = KernelKeys()
        self._known: dict[str, KernelCode] = {}
        self._symbols: dict[str, str] = {}
        self._waiting: list[EmittedKernel] = []
        self._llvm = ThreadPoolExecutor(1, "nnc-llvm")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._llvm.shutdown(cancel_futures=exception[0] is not None)

    def add(self, kernel: te.KernelOp | KernelOp, schedule: sched.ScheduleOp | None = None) -> None:
        """Lower and emit a kernel, unless an equal one has been."""
        with self.timings.stage("find equal kernels"):
            key = self._keys.key(kernel, schedule)
        name = kernel.sym_name.data
        if key not in self._known:
            symbol = self._symbols[key] = f"{name}.{key[:12]}"
            lowered, used = lower_kernel(kernel, schedule, symbol, self.options, self.timings)
            with self.timings.stage("emit"):
                emitted = emit_kernel(lowered, self.options.target)
            self._known[key] = kernel_code(lowered, emitted, is_small(kernel))
            self.kernels.lowered[symbol] = lowered
            if used is not None:
                self.kernels.schedules[symbol] = used
            self.kernels.emitted[symbol] = emitted
            self._waiting.append(emitted)
            if len(self._waiting) == MODULE_KERNELS:
                self.flush()
        self.kernels.code[name] = self._known[key]
        self.kernels.symbols[name] = self._symbols[key]

    def add_all(self, module: ModuleOp) -> None:
        """Compile every kernel of a module, each with its schedule if it has one.

        Raises: ScheduleError: a schedule for a kernel that is not there.
        """
        schedules = {
            op.kernel.root_reference.data: op
            for op in module.ops
            if isinstance(op, sched.ScheduleOp)
        }
        names = [op.sym_name.data for op in module.ops if isinstance(op, te.KernelOp | KernelOp)]
        for name, schedule in schedules.items():
            if name not in names:
                raise ScheduleError(
                    f"a schedule for @{name}, which is no kernel of the model",
                    where=describe(schedule),
                    hint=suggestion(name, names),
                )
        for op in module.ops:
            if isinstance(op, te.KernelOp | KernelOp):
                self.add(op, schedules.get(op.sym_name.data))
        self.flush()

    def flush(self) -> None:
        """Hand the kernels that wait to the LLVM thread."""
        if self._waiting:
            self.add_text(merge_modules([emitted.llvm_text for emitted in self._waiting]))
            self._waiting = []

    def add_text(self, llvm_text: str) -> None:
        """Hand one module to the LLVM thread."""
        if self.make_objects:
            self.kernels.objects.append(self._llvm.submit(self._to_object, llvm_text))

    def _to_object(self, llvm_text: str) -> bytes:
        with self.timings.meanwhile("LLVM"):
            return to_object(llvm_text, self.options.target)


def kernel_code(kernel: KernelOp, emitted: EmittedKernel, small: bool) -> KernelCode:
    """What the program's planner needs to know of a kernel."""
    return KernelCode(
        phases=tuple((phase.symbol, phase.extent) for phase in emitted.phases),
        args=tuple(emitted.args),
        num_outputs=kernel.num_outputs.value.data,
        temporaries=tuple(emitted.temporaries),
        scratch=emitted.scratch_bytes,
        alone=small,
    )
