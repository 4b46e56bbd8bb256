"""When two kernels are equal: their text with values numbered, names and locations left out."""

from __future__ import annotations

from hashlib import sha256

from xdsl.ir import Attribute, Operation, SSAValue

from ..dialects import loop, sched, te

_NAMES_OF_KERNEL = frozenset({"sym_name", "arg_names"})


class KernelKeys:
    """Makes keys; remembers the text of attributes, which kernels of a model share."""

    def __init__(self):
        self._texts: dict[Attribute, str] = {}

    def key(self, kernel: te.KernelOp | loop.KernelOp, schedule: sched.ScheduleOp | None) -> str:
        """A digest that equal kernels under equal schedules share.

        Names of arguments count only where a schedule may say them.
        """
        parts = [kernel.name]
        numbers: dict[SSAValue, int] = {}
        skip = _NAMES_OF_KERNEL if schedule is None else frozenset({"sym_name"})
        self._write(kernel, numbers, parts, skip)
        if schedule is not None and schedule.answers is not None:
            parts.append(self._text(schedule.answers))
        for primitive in schedule.body.ops if schedule is not None else ():
            self._write(primitive, numbers, parts, frozenset())
        return sha256("\n".join(parts).encode()).hexdigest()

    def _write(
        self,
        op: Operation,
        numbers: dict[SSAValue, int],
        parts: list[str],
        skip: frozenset[str],
    ) -> None:
        operands = [str(numbers[operand]) for operand in op.operands]
        attributes = [
            f"{name}={self._text(value)}"
            for name, value in sorted({**op.attributes, **op.properties}.items())
            if name not in skip
        ]
        types = [self._text(result.type) for result in op.results]
        parts.append(" ".join([op.name, *operands, ":", *attributes, ":", *types]))
        for result in op.results:
            numbers[result] = len(numbers)
        for region in op.regions:
            parts.append("{")
            for block in region.blocks:
                for argument in block.args:
                    numbers[argument] = len(numbers)
                    parts.append(self._text(argument.type))
                for inner in block.ops:
                    self._write(inner, numbers, parts, frozenset())
            parts.append("}")

    def _text(self, attribute: Attribute) -> str:
        found = self._texts.get(attribute)
        if found is None:
            found = self._texts[attribute] = str(attribute)
        return found
