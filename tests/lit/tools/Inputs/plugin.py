"""A plug-in for the tests of nn-opt: a dialect, and passes that misbehave in every way."""

from dataclasses import dataclass
from typing import IO, ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, StringAttr, i32
from xdsl.ir import Dialect
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, result_def, traits_def
from xdsl.passes import ModulePass
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.target import Target

from nnc.core.diagnostics import Severity, report
from nnc.core.errors import PassError
from nnc.core.explain import count, why_not
from nnc.core.locations import describe


@irdl_op_definition
class EvenOp(IRDLOperation):
    """A constant that must be even."""

    name = "testing.even"
    value = prop_def(IntegerAttr)
    res = result_def(i32)
    traits = traits_def(Pure())

    def verify_(self) -> None:
        if self.value.value.data % 2:
            raise VerifyException(f"{self.value.value.data} is odd")


Testing = Dialect("testing", [EvenOp], [])


def _evens(module: ModuleOp) -> list[EvenOp]:
    return [op for op in module.walk() if isinstance(op, EvenOp)]


@dataclass(frozen=True)
class AddToEvensPass(ModulePass):
    """Adds to every even constant: an odd `by` leaves the module broken."""

    name = "add-to-evens"
    by: int = 2

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for even in _evens(op):
            even.properties["value"] = IntegerAttr(even.value.value.data + self.by, i32)
            count("added")


@dataclass(frozen=True)
class OptionsPass(ModulePass):
    """Writes its options into the module's attributes."""

    name = "show-options"
    flag: bool = False
    count: int = 1
    sizes: tuple[int, ...] = ()
    label: str = "none"
    scale: float = 1.0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        text = f"{self.flag} {self.count} {self.sizes} {self.label} {self.scale}"
        op.attributes["options"] = StringAttr(text)


@dataclass(frozen=True)
class SpeakPass(ModulePass):
    """Remarks on, warns of, refuses or crashes at every even constant."""

    name = "speak"
    how: str = "remark"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for even in _evens(op):
            match self.how:
                case "remark" | "warning" | "note":
                    report(Severity(self.how), even, "here is one")
                case "why-not":
                    why_not(even, "its value is even")
                case "refuse":
                    where = describe(even)
                    raise PassError("this one is refused", where=where, hint="take another")
                case _:
                    raise RuntimeError("a bug")


@dataclass(frozen=True)
class ReverseBlockPass(ModulePass):
    """Turns the ops of each function around, all but the last: [a, b, return] -> [b, a, return]."""

    name = "reverse-block"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in op.ops:
            block = function.regions[0].block
            *others, last = block.ops
            for other in others:
                other.detach()
            block.insert_ops_before(others[::-1], last)


@dataclass(frozen=True)
class CountTarget(Target):
    """Writes how many even constants there are."""

    name: ClassVar[str] = "count-evens"
    prefix: str = "evens"

    def emit(self, ctx: Context, module: ModuleOp, output: IO[str]) -> None:
        output.write(f"{self.prefix}: {len(_evens(module))}\n")


DIALECTS = [Testing]
PASSES = [AddToEvensPass, OptionsPass, SpeakPass, ReverseBlockPass]
TARGETS = [CountTarget]
