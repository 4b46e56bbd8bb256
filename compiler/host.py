"""Operators that run on the host: a Python function for each, made when compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region

from ..core.errors import UnsupportedError
from ..core.locations import describe
from ..dialects.graph.base import GraphOp
from ..dialects.graph.indexing import ScatterElementsOp, ScatterNDOp
from ..runtime import host
from ..runtime.arrays import Array

HostRun = Callable[..., Sequence[Array]]


@dataclass(frozen=True)
class HostFunction:
    """What runs an operator: takes its operands' arrays, gives its results'."""

    op: Operation
    run: HostRun

    def __call__(self, *arrays: Array) -> Sequence[Array]:
        return self.run(*arrays)


def host_function(op: Operation) -> HostFunction:
    """The function of an operator: the runtime's own where it is faster than the reference's."""
    if isinstance(op, ScatterElementsOp):
        return HostFunction(op, _scatter_elements(op))
    if isinstance(op, ScatterNDOp):
        return HostFunction(op, _scatter_nd(op))
    if not isinstance(op, GraphOp):
        raise UnsupportedError(
            f"'{op.name}' is no operator of the graph dialect, and no pass has lowered it",
            where=describe(op),
            hint="nnc.register_pass puts a pass that does into the pipeline",
        )
    from ..reference.graph import evaluate

    def run(*arrays: Array) -> Sequence[Array]:
        return evaluate(op, arrays)

    return HostFunction(op, run)


def text_of(function: HostRun) -> str:
    """The operator of a host function, alone in a main function, as text.

    Raises: TypeError: no text says all of it.
    """
    from ..textir import print_module
    from ..textir.weights import collect

    if not isinstance(function, HostFunction):
        raise TypeError("only operators have a text")
    op = function.op
    block = Block(arg_types=[operand.type for operand in op.operands])
    # One argument for each operand, even where two operands are one value.
    copy = op.clone()
    copy.operands = list(block.args)
    block.add_ops([copy, ReturnOp(*copy.results)])
    types = FunctionType.from_lists(list(block.arg_types), [each.type for each in copy.results])
    module = ModuleOp([FuncOp("main", types, Region(block))])
    if collect(module):
        raise TypeError("its weights are no text")
    return print_module(module)


def function_of(text: str) -> HostFunction:
    """The host function that `text_of` wrote."""
    from ..textir import parse

    main = next(op for op in parse(text).ops if isinstance(op, FuncOp))
    op = main.body.block.first_op
    assert op is not None, "the operator stands first"
    return host_function(op)


def _scatter_elements(op: ScatterElementsOp) -> HostRun:
    axis, reduction = op.axis.value.data, op.reduction.data

    def run(data: Array, indices: Array, updates: Array) -> Sequence[Array]:
        return [host.scatter_elements(data, indices, updates, axis, reduction)]

    return run


def _scatter_nd(op: ScatterNDOp) -> HostRun:
    reduction = op.reduction.data

    def run(data: Array, indices: Array, updates: Array) -> Sequence[Array]:
        return [host.scatter_nd(data, indices, updates, reduction)]

    return run
