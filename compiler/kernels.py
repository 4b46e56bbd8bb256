"""Kernels to object code: equal ones once, those in the disk cache not at all, LLVM on a thread.

Two kernels are equal when their text is, names and locations left out; their weights are arguments.
While LLVM works on one (without Python's lock), the next one is scheduled and emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Self

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Attribute, Operation

from ..core.errors import NncError, ScheduleError
from ..core.locations import describe
from ..dialects import sched, te
from ..dialects.loop import KernelOp, StmtOp
from ..lowering.llvm_to_object import compile as to_object
from ..lowering.loop_to_llvm import EmittedKernel, emit_kernel
from ..lowering.loop_to_llvm.debug import LineTable
from ..lowering.program import KernelCode
from ..schedules.apply_schedules import apply_schedule
from ..schedules.library import schedule_kernel
from ..schedules.primitives.lookup import suggestion
from .kernel_cache import KernelCache, KernelObject
from .keys import KernelKeys
from .options import Options
from .pipelines import DECLARE, FAST_TILES, TO_NEST, TO_TILES, run_passes
from .timing import Timings

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
        cached: how many distinct kernels were found in the disk cache: they have code and object
            code, and none of the rest.
    """

    code: dict[str, KernelCode] = field(default_factory=dict[str, KernelCode])
    symbols: dict[str, str] = field(default_factory=dict[str, str])
    lowered: dict[str, KernelOp] = field(default_factory=dict[str, KernelOp])
    schedules: dict[str, sched.ScheduleOp] = field(default_factory=dict[str, sched.ScheduleOp])
    emitted: dict[str, EmittedKernel] = field(default_factory=dict[str, EmittedKernel])
    objects: list[Future[bytes]] = field(default_factory=list[Future[bytes]])
    cached: int = 0


class KernelWatcher:
    """Looks at a kernel on its way down. Does nothing by default.

    Attributes:
        line_table: to be filled with the lines of the code's ops; the code itself stays the same.
    """

    line_table: LineTable | None = None

    def at_te(self, kernel: te.KernelOp) -> None:
        """Called with the copy that is going to be lowered."""

    def at_nest(self, kernel: KernelOp) -> None:
        """Called with the canonical nest, before the schedule."""

    def after_primitive(self, kernel: KernelOp, primitive: Operation) -> None:
        """Called after each primitive of the schedule, in order, but for choices."""

    def at_scheduled(self, kernel: KernelOp, schedule: sched.ScheduleOp | None) -> None:
        """Called after the schedule; `None` for a kernel written as loops."""

    def at_tiles(self, kernel: KernelOp) -> None:
        """Called with the tile form, before it becomes code."""

    def at_code(self, llvm_text: str, options: Options) -> None:
        """Called with the code, perhaps on another thread."""


_WATCHERS: ContextVar[Callable[[str], KernelWatcher] | None] = ContextVar("nnc_watch", default=None)


@contextmanager
def watching(make: Callable[[str], KernelWatcher]) -> Generator[None]:
    """While the block runs, let `make` give a watcher for each kernel that is lowered, by name.

    The disk cache's kernels are not lowered: compile without it.
    """
    token = _WATCHERS.set(make)
    try:
        yield
    finally:
        _WATCHERS.reset(token)


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
            after = partial(watcher.after_primitive, nest)
            if schedule is not None:
                apply_schedule(nest, schedule, after)
            elif isinstance(kernel, te.KernelOp):
                schedule = schedule_kernel(nest, options.target, options.numerics, after)
        watcher.at_scheduled(nest, schedule)
        if any(isinstance(op, StmtOp) for op in nest.walk()):
            run_passes(TO_TILES, module, timings)
            if options.numerics == "fast":
                run_passes(FAST_TILES, module, timings)
        run_passes(DECLARE, module, timings)
        watcher.at_tiles(nest)
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

    Args:
        options: what to compile for.
        timings: to add to.
        make_objects: without it, it stops at LLVM IR text.
        cache: where kernels may be, and are kept.
    """

    def __init__(
        self,
        options: Options,
        timings: Timings,
        *,
        make_objects: bool = True,
        cache: KernelCache | None = None,
    ):
        self.options, self.timings, self.make_objects = options, timings, make_objects
        self._cache = cache
        self.kernels = Kernels()
        self._keys = KernelKeys()
        self._known: dict[str, KernelCode] = {}
        self._symbols: dict[str, str] = {}
        self._llvm = ThreadPoolExecutor(1, "nnc-llvm")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._llvm.shutdown(cancel_futures=exception[0] is not None)

    def add(self, kernel: te.KernelOp | KernelOp, schedule: sched.ScheduleOp | None = None) -> None:
        """Lower and emit a kernel, unless an equal one has been, or the cache has it."""
        with self.timings.stage("find equal kernels"):
            key = self._keys.key(kernel, schedule)
        if key not in self._known and not self._take_cached(key, kernel):
            self._compile(key, kernel, schedule)
        name = kernel.sym_name.data
        self.kernels.code[name] = self._known[key]
        self.kernels.symbols[name] = self._symbols[key]

    def _take_cached(self, key: str, kernel: te.KernelOp | KernelOp) -> bool:
        if self._cache is None:
            return False
        with self.timings.stage("find in cache"):
            found = self._cache.load(key, argument_types(kernel))
        if found is None:
            return False
        self._known[key], self._symbols[key] = found.code, found.symbol
        done: Future[bytes] = Future()
        done.set_result(found.object)
        self.kernels.objects.append(done)
        self.kernels.cached += 1
        return True

    def _compile(
        self, key: str, kernel: te.KernelOp | KernelOp, schedule: sched.ScheduleOp | None
    ) -> None:
        symbol = self._symbols[key] = f"{kernel.sym_name.data}.{key[:12]}"
        make = _WATCHERS.get()
        watcher = KernelWatcher() if make is None else make(kernel.sym_name.data)
        lowered, used = lower_kernel(kernel, schedule, symbol, self.options, self.timings, watcher)
        with self.timings.stage("emit"):
            emitted = emit_kernel(lowered, self.options.target, watcher.line_table)
        code = self._known[key] = kernel_code(lowered, emitted, is_small(kernel))
        self.kernels.lowered[symbol] = lowered
        if used is not None:
            self.kernels.schedules[symbol] = used
        self.kernels.emitted[symbol] = emitted

        def keep(made: bytes) -> None:
            watcher.at_code(emitted.llvm_text, self.options)
            if self._cache is not None:
                self._cache.save(key, KernelObject(symbol, code, made))

        self.add_text(emitted.llvm_text, keep)

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

    def add_text(self, llvm_text: str, keep: Callable[[bytes], None] | None = None) -> None:
        """Hand one module to the LLVM thread, which gives its object code to `keep`."""
        if self.make_objects:
            self.kernels.objects.append(self._llvm.submit(self._to_object, llvm_text, keep))

    def _to_object(self, llvm_text: str, keep: Callable[[bytes], None] | None) -> bytes:
        with self.timings.meanwhile("LLVM"):
            made = to_object(llvm_text, self.options.target)
        if keep is not None:
            keep(made)
        return made


def argument_types(kernel: te.KernelOp | KernelOp) -> list[Attribute]:
    """Of its arguments, then of its results."""
    results = kernel.function_type.outputs.data if isinstance(kernel, te.KernelOp) else ()
    return [*kernel.body.block.arg_types, *results]


def kernel_code(kernel: KernelOp, emitted: EmittedKernel, small: bool) -> KernelCode:
    """What the program's planner needs to know of a kernel."""
    return KernelCode(
        phases=tuple((phase.symbol, phase.extent) for phase in emitted.phases),
        args=tuple(emitted.args),
        num_outputs=kernel.num_outputs.value.data,
        temporaries=tuple(emitted.temporaries),
        scratch=emitted.scratch_bytes,
        alone=small,
        inout=tuple(kernel.inout_pairs),
    )
