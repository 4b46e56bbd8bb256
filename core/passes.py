"""Passes that run on ops of one kind, and the statistics that a pass declares.

A pass on the whole module is xDSL's `ModulePass`. A pass that looks at one kind of op at a time,
each by itself, says so in its type; a pass that works on any op takes `Operation`:

    class FoldAddendsPass(OpPass[KernelOp]):     # runs on each loop.kernel
        def run(self, ctx: Context, op: KernelOp) -> None: ...

    class CsePass(OpPass[Operation]):            # runs on whatever it is given
        def run(self, ctx: Context, op: Operation) -> None: ...

    class InferShapesPass(OpPass[ModuleOp | FuncOp]):    # on the module; on functions if asked to
        def run(self, ctx: Context, op: ModuleOp | FuncOp) -> None: ...

`nn-opt` schedules it on each such op, `graph.kernel(a,b)`, and checks that it stays inside: a pass
may change what the op holds and the op's own attributes; the op's operands, the types of its
results, its symbol and its place belong to what is around it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from .explain import count
from .walk import children

OpT = TypeVar("OpT", bound=Operation)


@dataclass(frozen=True)
class Statistic:
    """A number that a pass reports: shown by `--pass-statistics` even where it is 0.

    A pass lists its own: `statistics: ClassVar = (KERNELS,)` with
    `KERNELS = Statistic("kernel", "kernels made")`, and adds to them with `KERNELS.add()`.
    """

    name: str
    description: str

    def add(self, number: int = 1) -> None:
        """Count, if somebody listens."""
        count(self.name, number)


class OpPass(ModulePass, Generic[OpT]):
    """A pass that runs on ops of the class in its type argument, or of several."""

    anchors: ClassVar[tuple[type[Operation], ...]] = (Operation,)
    """The op classes it runs on, from the type argument; `Operation` stands for any.

    It runs on the first where nobody says on which.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, OpPass):
                (argument,) = get_args(base)
                classes = get_args(argument) or (argument,)
                if all(isinstance(each, type) for each in classes):
                    cls.anchors = classes

    @abstractmethod
    def run(self, ctx: Context, op: OpT) -> None:
        """Run on one op."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        inside: list[Any] = list(anchored(op, self.anchors[0]))
        for each in inside:
            self.run(ctx, each)


def runs_on(pass_class: type[ModulePass]) -> type[Operation]:
    """The op class that a pass runs on if nobody says on which; `Operation` for any."""
    return anchors_of(pass_class)[0]


def anchors_of(pass_class: type[ModulePass]) -> tuple[type[Operation], ...]:
    """The op classes that a pass runs on."""
    return pass_class.anchors if issubclass(pass_class, OpPass) else (ModuleOp,)


def statistics_of(pass_class: type[ModulePass]) -> tuple[Statistic, ...]:
    """The statistics that a pass declares."""
    return getattr(pass_class, "statistics", ())


def anchored(root: Operation, kind: type[Operation] | str) -> Iterator[Operation]:
    """The ops of a class or name in `root`, itself included, but for those inside another."""
    stack = [root]
    while stack:
        op = stack.pop()
        if op.name == kind if isinstance(kind, str) else isinstance(op, kind):
            yield op
        elif op.regions:
            stack.extend(reversed(children(op)))
