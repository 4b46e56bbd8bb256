"""What nn-reduce changes, from the largest to the smallest.

A move lists its sites, which are positions or numbers and stay the same in a copy of the module,
and changes a copy at some of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np
from xdsl.dialects import arith, func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import Rewriter
from xdsl.traits import IsTerminator

from ...core.walk import erase, walk
from ...dialects import loop, sched, te
from ...dialects.graph import base as graph
from .attributes import DropAttributes
from .buffers import CutBuffers, EndAtBuffer
from .extents import BindExtents, ShrinkExtents
from .functions import Refused, add_argument, called_symbols, holder_of, holders, keep_results, tidy
from .operands import DropOperands, MergeArguments

__all__ = ["MOVES", "Move", "Refused"]


class Move(Protocol):
    """One kind of change."""

    @property
    def name(self) -> str:
        """For the progress line."""
        ...

    def sites(self, module: ModuleOp) -> Sequence[Hashable]:
        """Where it could be made, in the order in which it is tried."""
        ...

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        """Make it at these sites of a copy.

        Raises: Refused: it cannot be made.
        """
        ...


def numbered(module: ModuleOp) -> list[Operation]:
    """Every op in program order: positions in this list are sites."""
    return list(walk(module))


class DropFunctions:
    """Functions and kernels that nobody calls go."""

    name = "functions"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        ops = list(module.ops)
        return range(len(ops)) if len(ops) > 1 else ()

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        ops = list(module.ops)
        for at, op in enumerate(ops):
            if at in sites:
                erase(op)
        names = {getattr(op, "sym_name", None) for op in module.ops}
        known = {name.data for name in names if name is not None}
        named = called_symbols(module) | {
            op.kernel.root_reference.data for op in module.ops if isinstance(op, sched.ScheduleOp)
        }
        if not named <= known or not known:
            raise Refused


class DropResults:
    """Functions return less; what only served the rest goes."""

    name = "outputs"

    def sites(self, module: ModuleOp) -> Sequence[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for number, holder in enumerate(holders(module)):
            last = holder.body.block.last_op
            assert last is not None
            if len(last.operands) > 1:
                found += [(number, at) for at in range(len(last.operands))]
        return found

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        for number, holder in enumerate(holders(module)):
            last = holder.body.block.last_op
            assert last is not None
            kept = [at for at in range(len(last.operands)) if (number, at) not in sites]
            if not kept:
                raise Refused
            if len(kept) < len(last.operands):
                keep_results(holder, kept)
        tidy(module)


class StopEarly:
    """A function returns an inner value instead of what it returned."""

    name = "ends"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        found = [
            at
            for at, op in enumerate(numbered(module))
            if len(op.results) == 1 and isinstance(op.parent_op(), func.FuncOp | te.KernelOp)
        ]
        return [at for at in found if not _is_constant(numbered(module)[at])]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        if len(sites) != 1:
            raise Refused
        op = next(op for at, op in enumerate(numbered(module)) if at in sites)
        holder = holder_of(op, module)
        last = holder.body.block.last_op
        assert last is not None
        if len(last.operands) == 1 and last.operands[0] is op.results[0]:
            raise Refused
        last.operands = [op.results[0]]
        keep_results(holder, [0])
        tidy(module)


def _is_constant(op: Operation) -> bool:
    return isinstance(op, graph.ConstantOp | arith.ConstantOp)


class CutOps:
    """Results of operators become arguments of the function."""

    name = "operators"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        return [at for at, op in enumerate(numbered(module)) if _can_cut(op)]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        for op in [op for at, op in enumerate(numbered(module)) if at in sites]:
            for result in op.results:
                if result.first_use is not None:
                    result.replace_all_uses_with(_argument_for(op, result, module))
        tidy(module)


def _can_cut(op: Operation) -> bool:
    around = op.parent_op()
    inside = isinstance(around, func.FuncOp | te.KernelOp | graph.KernelOp)
    return inside and bool(op.results) and not op.has_trait(IsTerminator)


def _argument_for(op: Operation, result: SSAValue, module: ModuleOp) -> SSAValue:
    holder = holder_of(op, module)
    outer = add_argument(holder, result.type, result.name_hint)
    kernel = op.parent_op()
    if not isinstance(kernel, graph.KernelOp):
        return outer
    kernel.operands = [*kernel.operands, outer]
    block = kernel.body.block
    inner = block.insert_arg(result.type, len(block.args))
    inner.name_hint = outer.name_hint
    return inner


class Forward:
    """An operator is left out: an operand of the same type stands for its result."""

    name = "chains"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        return [at for at, op in enumerate(numbered(module)) if _stand_in(op) is not None]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        for op in [op for at, op in enumerate(numbered(module)) if at in sites]:
            value = _stand_in(op)
            if value is None:
                raise Refused
            op.results[0].replace_all_uses_with(value)
        tidy(module)


def _stand_in(op: Operation) -> SSAValue | None:
    if len(op.results) != 1 or op.results[0].first_use is None:
        return None
    return next((o for o in op.operands if o.type == op.results[0].type), None)


class InlineKernels:
    """The operators of a fused kernel stand in the function."""

    name = "kernels"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        return [at for at, op in enumerate(numbered(module)) if isinstance(op, graph.KernelOp)]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        for op in [op for at, op in enumerate(numbered(module)) if at in sites]:
            assert isinstance(op, graph.KernelOp)
            block = op.body.block
            for argument, value in zip(block.args, op.args, strict=True):
                argument.replace_all_uses_with(value)
            last = block.last_op
            assert last is not None
            values = list(last.operands)
            home = op.parent
            assert home is not None
            for inner in list(block.ops):
                inner.detach()
                if inner is not last:
                    home.insert_op_before(inner, op)
            Rewriter.replace_op(op, [], values)
        tidy(module)


class EraseOps:
    """Statements, loops, stores and primitives of schedules go."""

    name = "statements"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        kinds = (loop.ForOp, loop.StmtOp, loop.StoreOp, loop.PrefetchOp)
        return [
            at
            for at, op in enumerate(numbered(module))
            if not op.results
            and (isinstance(op, kinds) or isinstance(op.parent_op(), sched.ScheduleOp))
        ]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        chosen = [op for at, op in enumerate(numbered(module)) if at in sites]
        for op in reversed(chosen):
            erase(op)
        tidy(module)


class SimplifyConstants:
    """Content of constants becomes ones."""

    name = "weights"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        return [
            at
            for at, op in enumerate(numbered(module))
            if isinstance(op, graph.ConstantOp) and op.is_loaded and _is_busy(op.array)
        ]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        for op in [op for at, op in enumerate(numbered(module)) if at in sites]:
            assert isinstance(op, graph.ConstantOp)
            plain = graph.ConstantOp.of(np.ones_like(op.array))
            op.properties["value"] = plain.value


def _is_busy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    return array.size > 1 and not bool((array == np.ones_like(array)).all())


MOVES: tuple[Move, ...] = (
    DropFunctions(),
    DropResults(),
    StopEarly(),
    EndAtBuffer(),
    CutOps(),
    CutBuffers(),
    InlineKernels(),
    Forward(),
    DropOperands(),
    EraseOps(),
    BindExtents(),
    ShrinkExtents(),
    SimplifyConstants(),
    DropAttributes(),
    MergeArguments(),
)
"""In the order in which they are tried, again and again."""
