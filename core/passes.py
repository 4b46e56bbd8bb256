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

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from .explain import count
from .walk import children

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
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


def fault(pass_class: type[ModulePass]) -> str | None:
    """What a class lacks to be run as a pass: told when it is loaded, with its line."""
    cls: Any = pass_class
    is_op_pass = bool(issubclass(pass_class, OpPass))
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"its name is {name!r}, expected one such as 'fold-relu': name = \"fold-relu\""
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        return f"it does not define {', '.join(missing)}"
    if is_op_pass and not _says_where(cls):
        return "it does not say which op it runs on: OpPass[FuncOp], or OpPass[Operation] for any"
    method: Any = cls.run if is_op_pass else cls.apply
    try:
        signature(method).bind("self", "ctx", "op")
    except TypeError:
        return (
            f"expected {method.__name__}(self, ctx, op), got {method.__name__}{signature(method)}"
        )
    declared: object = getattr(cls, "statistics", ())
    if not isinstance(declared, tuple | list) or not all(
        isinstance(each, Statistic) for each in cast("Sequence[object]", declared)
    ):
        return f"its statistics are {declared!r}, expected a tuple of Statistic: (MERGED,)"
    return None


def _says_where(pass_class: type[OpPass[Any]]) -> bool:
    """Whether a type argument, or a class variable, says on which op it runs."""
    return any("anchors" in vars(cls) for cls in pass_class.__mro__ if cls is not OpPass)


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
