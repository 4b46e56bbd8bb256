"""One te kernel from one graph kernel, or from one operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from ...core.errors import NncError, PassError, UnsupportedError
from ...core.irtypes import tensor_element, tensor_shape
from ...core.locations import describe
from ...dialects import te
from ...dialects.graph.base import ConstantOp, GraphOp, KernelOp, YieldOp, origin
from ...dialects.graph.types import layout
from ...dialects.te_build import KernelBuilder, Tensor
from .registry import has_static_shapes, lowering_of, why_host
from .site import Site, splat_of


@dataclass
class LoweredKernel:
    """A te kernel and what its call takes."""

    kernel: te.KernelOp
    args: list[SSAValue]
    constants: list[ConstantOp] = field(default_factory=list[ConstantOp])
    """Constants that stood inside the graph kernel and become arguments: copies for main."""

    result_names: list[str | None] = field(default_factory=list[str | None])


def lower_kernel(kernel: KernelOp) -> LoweredKernel:
    """The te kernel of a fused graph kernel.

    Raises: UnsupportedError: an operator inside has no lowering, or a shape is not known.
    """
    block = kernel.body.block
    ops = [op for op in block.ops if not isinstance(op, YieldOp)]
    last = block.last_op
    assert isinstance(last, YieldOp), "a kernel's body ends with graph.yield"
    return _lower(kernel.sym_name.data, kernel, ops, list(last.operands))


def lower_single(op: GraphOp, name: str) -> LoweredKernel:
    """The te kernel of one operator.

    Raises: UnsupportedError: it has no lowering, or a shape is not known.
    """
    return _lower(name, op, [op], list(op.results))


def _lower(
    name: str, root: Operation, ops: Sequence[Operation], yielded: Sequence[SSAValue]
) -> LoweredKernel:
    for op in ops:
        _check(op)
    inner: set[SSAValue] = {
        result for op in ops for result in op.results if not isinstance(op, ConstantOp)
    }
    outer = _outer_operands(ops, yielded, inner)
    names = _argument_names(ops, outer)
    const = [names[value] for value in outer if isinstance(origin(value).owner, ConstantOp)]
    k = KernelBuilder(name, {names[value]: value.type for value in outer}, const)
    k.location = root.location
    for value in yielded:
        if (form := layout(value.type)) is not None:
            k.layouts[tensor_shape(value.type)] = form
    tensors: dict[SSAValue, Tensor] = dict(zip(outer, k.args, strict=True))
    for value in tensors:
        tensors[value] = splat_of(value) or tensors[value]
    tables: list[ConstantOp] = []
    for op in ops:
        if isinstance(op, GraphOp):
            k.location = op.location
            _lower_op(op, k, tensors, tables)
    k.location = root.location
    results = [tensors.get(value) or _literal(value) for value in yielded]
    lowered = k.finish(*results)
    return _prune(lowered, root, outer, tables)


def _literal(value: SSAValue) -> Tensor:
    literal = splat_of(value)
    assert literal is not None, "a result of the kernel has no tensor"
    return literal


def _check(op: Operation) -> None:
    if not has_static_shapes(op):
        raise UnsupportedError(
            f"{op.name} has a shape that is not known",
            where=_where(op),
            hint="give the shapes of the inputs (--shape name=1x3x224x224)",
        )
    reason = None if isinstance(op, ConstantOp) else why_host(op)
    if reason is not None:
        raise UnsupportedError(f"{op.name} cannot be part of a kernel: {reason}", where=_where(op))


def _where(op: Operation) -> str | None:
    return describe(op)


def _lower_op(
    op: GraphOp, k: KernelBuilder, tensors: dict[SSAValue, Tensor], tables: list[ConstantOp]
) -> None:
    lowering = lowering_of(op)
    assert lowering is not None, f"{op.name} was checked"
    try:
        results = lowering(op, Site(op, k, tensors, tables))
    except NncError as error:
        if error.where is None:
            error.where = _where(op)
        raise
    _check_results(op, results)
    for value, tensor in zip(op.results, results, strict=True):
        tensors[value] = tensor


def _check_results(op: GraphOp, results: object) -> None:
    """Raises: PassError: a definition, of a user perhaps, gives other tensors than expected."""
    if not isinstance(results, list | tuple):
        given = type(results).__name__
        hint = f"expected a list of {len(op.results)}: return [y]"
        text = f"the definition of {op.name} gives a {given}"
        raise PassError(text, where=_where(op), hint=hint)
    found = [_spelt(each) for each in cast("Sequence[object]", results)]
    expected = [str(TensorType(tensor_element(t), tensor_shape(t))) for t in op.result_types]
    if found != expected:
        text = f"the definition of {op.name} gives {', '.join(found) or 'nothing'}"
        raise PassError(f"{text}, expected {', '.join(expected)}", where=_where(op))


def _spelt(result: object) -> str:
    if isinstance(result, Tensor):
        return str(TensorType(result.dtype, result.shape))
    return type(result).__name__


def _outer_operands(
    ops: Sequence[Operation], yielded: Sequence[SSAValue], inner: set[SSAValue]
) -> list[SSAValue]:
    """Values that come from outside, and constants inside, in order of first use."""
    found: dict[SSAValue, None] = {}
    for value in (*(operand for op in ops for operand in op.operands), *yielded):
        if value not in inner:
            found[value] = None
    return list(found)


def _argument_names(ops: Iterable[Operation], values: Sequence[SSAValue]) -> dict[SSAValue, str]:
    """Each value under the name of the operand that it is first."""
    names: dict[SSAValue, str] = {}
    taken: dict[str, int] = {}
    for op in ops:
        for name, value in _named_operands(op):
            if value in names or value not in values:
                continue
            count = taken.get(name, 0)
            taken[name] = count + 1
            names[value] = name if count == 0 else f"{name}{count}"
    for value in values:
        names.setdefault(value, f"arg{len(names)}")
    return names


def _named_operands(op: Operation) -> list[tuple[str, SSAValue]]:
    if not isinstance(op, GraphOp):
        return []
    pairs: list[tuple[str, SSAValue]] = []
    for name, _ in op.get_irdl_definition().operands:
        value: SSAValue | Sequence[SSAValue] | None = getattr(op, name)
        if isinstance(value, SSAValue):
            pairs.append((name, value))
        else:
            pairs += [(name, member) for member in value or ()]
    return pairs


def _prune(
    kernel: te.KernelOp,
    root: Operation,
    outer: Sequence[SSAValue],
    tables: Sequence[ConstantOp],
) -> LoweredKernel:
    """Drop arguments that nobody reads (shapes, axes, literals), and find the call's operands."""
    block = kernel.body.block
    kept = [at for at, argument in enumerate(block.args) if argument.first_use is not None]
    for argument in [a for a in block.args if a.first_use is None]:
        block.erase_arg(argument)
    names = [name.data for name in kernel.arg_names]
    const = kernel.const_positions
    body = kernel.body
    kernel.detach_region(body)
    pruned = te.KernelOp(
        kernel.sym_name.data,
        list(block.arg_types),
        list(kernel.function_type.outputs),
        [names[at] for at in kept],
        [new for new, at in enumerate(kept) if at in const],
        body,
    )
    pruned.location = kernel.location
    lowered = LoweredKernel(pruned, [], result_names=[r.name_hint for r in root.results])
    for at in kept:
        if at < len(outer):
            lowered.args.append(_call_operand(outer[at], root, lowered.constants))
        else:
            table = tables[at - len(outer)]
            lowered.constants.append(table)
            lowered.args.append(table.res)
    return lowered


def _call_operand(value: SSAValue, root: Operation, constants: list[ConstantOp]) -> SSAValue:
    value = origin(value)
    owner = value.owner
    if isinstance(owner, ConstantOp) and owner.parent is not root.parent:
        copy = owner.clone()
        constants.append(copy)
        return copy.res
    return value
