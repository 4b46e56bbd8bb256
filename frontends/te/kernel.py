"""Tensors to a te.kernel: a copy of everything that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from ...core.errors import ExpressionError
from ...core.locations import describe_location
from ...dialects import te
from ...dialects.te_build import KernelBuilder
from ...dialects.te_build.tensor import Stored
from .compute import in_order
from .origin import located
from .tensor import Operation, Tensor, as_tensor, check_name, listed_tensors


@dataclass(frozen=True, eq=False)
class Kernel:
    """A te.kernel and what it was made from.

    Attributes:
        inputs, outputs: the tensors behind its arguments and results.
        symbols: the symbol of each compute and scan in the kernel.
    """

    op: te.KernelOp
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    symbols: dict[Operation, str]

    def ir(self) -> str:
        """The kernel in our text form; `nnc.parse` reads it back."""
        from ...textir import print_module

        return print_module(self.op)


def create_kernel(
    outputs: Tensor | Sequence[Tensor],
    inputs: Sequence[Tensor] | None = None,
    name: str | None = None,
) -> Kernel:
    """The kernel that computes tensors.

    Args:
        outputs: what it returns.
        inputs: placeholders, in the order of its arguments; those that it reads, in the order in
            which they are met, where none are given.
        name: its symbol; the first output's name where none is given.

    Raises: ExpressionError: an input is missing or none, or an output belongs to a scan.
    """
    with located:
        results = [as_tensor(each) for each in listed_tensors(outputs)]
        if not results:
            raise ExpressionError("a kernel has at least one output")
        if len(set(results)) != len(results):
            raise ExpressionError("an output stands twice")
        if given := [x.name for x in results if x.op.kind == "placeholder"]:
            raise ExpressionError(f"the output '{given[0]}' is a placeholder: nothing computes it")
        check_name(name or results[0].name)
        order = in_order(results)
        for source in order:
            _check_source(source)
        read = [source for source in order if source.kind == "placeholder"]
        arguments = _arguments(read, results, inputs)
    builder = KernelBuilder(name or results[0].name, {})
    builder.location = results[0].op.location
    values: dict[SSAValue, SSAValue] = {}
    for tensor in arguments:
        argument = builder.argument(tensor.name, tensor.value.type, const=tensor.op.const)
        assert isinstance(argument, Stored), "an argument is a value"
        values[tensor.value] = argument.value
    symbols: dict[Operation, str] = {}
    for source in order:
        if source.op is not None:
            copy = source.op.clone(values)
            builder.insert(copy)
            symbols[source] = copy.sym_name.data
    kernel = builder.finish(*(Stored(values[x.value], x.dtype, x.names) for x in results))
    return Kernel(kernel, tuple(arguments), tuple(results), symbols)


def _check_source(source: Operation) -> None:
    inside_scan = source.op is not None and source.op.parent is not None
    if source.kind == "state" or inside_scan:
        raise ExpressionError(
            f"'{source.name}' exists inside a scan only",
            where=describe_location(source.location),
            hint="use what `scan` returns: the states after every step",
        )


def _arguments(
    read: Sequence[Operation], results: Sequence[Tensor], inputs: Sequence[Tensor] | None
) -> list[Tensor]:
    """The kernel's arguments.

    Raises: ExpressionError: one is missing, stands twice, or is no placeholder.
    """
    found = placeholders(results)
    if inputs is None:
        return found
    for tensor in inputs:
        if tensor.op.kind != "placeholder":
            raise ExpressionError(f"the input '{tensor.name}' is computed, not a placeholder")
    if len(set(inputs)) != len(inputs):
        raise ExpressionError("an input stands twice")
    if missing := [source.name for source in read if source not in {x.op for x in inputs}]:
        listed = ", ".join(f"'{name}'" for name in missing)
        raise ExpressionError(f"the kernel reads {listed}, not among its inputs")
    return list(inputs)


def placeholders(results: Sequence[Tensor]) -> list[Tensor]:
    """The placeholders that tensors come from, in the order in which they are met."""
    found: dict[Tensor, None] = {}
    for source in in_order(results):
        found.update((x, None) for x in source.inputs if x.op.kind == "placeholder")
    return list(found)
