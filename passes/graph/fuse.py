"""Put operators that run together into kernels.

A value that stays inside a kernel is never written to memory. Which operators go together is
decided in fusion_groups.py; here each group becomes a `graph.kernel`, an isolated region. Its
operands are the values that come from outside; constants that are scalars or say a shape are cloned
into it, weights stay operands. What stays outside: constants, operators that run on the host, and
reshapes, which are views of the same memory.

    %0 = graph.conv(%x, %w) : tensor<1x8x4x4xf32>
    %1 = graph.add(%0, %b) : tensor<1x8x4x4xf32>
    %2 = graph.relu(%1) : tensor<1x8x4x4xf32>
->
    %2 = graph.kernel @conv_add_relu(%x, %w, %b) {
    ^bb0(%x: ..., %w: ..., %b: ...):
      %0 = graph.conv(%x, %w) : tensor<1x8x4x4xf32>
      %1 = graph.add(%0, %b) : tensor<1x8x4x4xf32>
      %2 = graph.relu(%1) : tensor<1x8x4x4xf32>
      graph.yield %2
    } : tensor<1x8x4x4xf32>
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from ...core.counters import may
from ...core.irtypes import tensor_shape
from ...core.locations import fuse as fuse_locations
from ...core.names import fresh
from ...core.passes import Statistic
from ...core.walk import children, walk
from ...dialects.graph.base import ConstantOp, GraphOp, KernelOp, YieldOp
from ...dialects.graph.registry import HOST, operator, operators
from ...dialects.graph.types import dims
from .fusion_groups import Group, Limits, group_block, is_view
from .parameters import is_parameter

KERNELS = Statistic("kernel", "kernels made")

MAX_WORDS = 6
"""A kernel's name lists at most this many operators."""


def fuse(
    module: ModuleOp, is_host: Callable[[GraphOp], bool], limits: Limits | None = None
) -> None:
    """Make kernels of the graph operators in `module`.

    Args:
        module: changed in place; kernels that are there already stay.
        is_host: the operators that cannot become a kernel.
        limits: what bounds a kernel.
    """
    names = _Names(op.sym_name.data for op in walk(module) if isinstance(op, KernelOp))
    for block in _graph_blocks(module):
        for group in group_block(block, is_host, limits or Limits()):
            is_used = any(result.first_use is not None for result in group.sink.results)
            is_view_only = all(is_view(op) for op in group.ops)
            if is_used and not is_view_only and may(KERNELS.name, group.sink):
                _make_kernel(group, names)


def _graph_blocks(module: ModuleOp) -> list[Block]:
    """The blocks that hold operators, in program order, but for those inside kernels."""
    blocks: list[Block] = []
    stack: list[Operation] = [module]
    while stack:
        op = stack.pop()
        if not isinstance(op, KernelOp):
            blocks += [block for region in op.regions for block in region.blocks]
            stack += reversed([inner for inner in children(op) if inner.regions])
    return blocks


class _Names:
    """Symbols that read like what the kernel does, each given once."""

    def __init__(self, taken: Iterable[str]):
        self.taken = set(taken)

    def make(self, ops: list[GraphOp]) -> str:
        """A symbol such as `conv_add_relu`, with a number where it is taken."""
        words = [op.name.partition(".")[2] for op in ops]
        if len(words) > MAX_WORDS:
            words = [*words[: MAX_WORDS - 1], "etc"]
        name = fresh("_".join(words), self.taken)
        self.taken.add(name)
        return name


def _make_kernel(group: Group, names: _Names) -> None:
    """Move the operators of `group` into a kernel that stands where the sink stood."""
    block = group.sink.parent
    assert block is not None
    results = [result for result in group.sink.results if result.first_use is not None]
    constants, args = _operands(group)
    name = names.make([op for op in group.ops if not is_view(op)])
    kernel = KernelOp(name, args, [result.type for result in results])
    kernel.pattern = StringAttr(max(op.PATTERN for op in group.ops).name.lower())
    kernel.location = fuse_locations(op.location for op in group.ops)
    block.insert_op_before(kernel, group.sink)
    for result, new in zip(results, kernel.results, strict=True):
        new.name_hint = result.name_hint
        result.replace_uses_with_if(new, lambda use: use.operation not in group.members)
    _fill_body(kernel.body.block, group, constants, args)
    end = YieldOp(*results)
    end.location = group.sink.location
    kernel.body.block.add_op(end)
    KERNELS.add()


def _operands(group: Group) -> tuple[list[ConstantOp], list[SSAValue]]:
    """The constants that are cloned into the kernel, and the values that are its operands."""
    constants: dict[ConstantOp, None] = {}
    args: dict[SSAValue, None] = {}
    for op in group.ops:
        for position, value in enumerate(op.operands):
            if value.owner in group.members:
                continue
            if isinstance(value.owner, ConstantOp) and _goes_inside(value.owner, op, position):
                constants[value.owner] = None
            else:
                args[value] = None
    return list(constants), [value for value in args if value.owner not in constants]


def _goes_inside(constant: ConstantOp, user: GraphOp, position: int) -> bool:
    if prod(tensor_shape(constant.res.type)) == 1:
        return True
    return constant.is_loaded and is_parameter(user, position)


def _fill_body(
    body: Block, group: Group, constants: list[ConstantOp], args: list[SSAValue]
) -> None:
    inside: dict[SSAValue, SSAValue] = {}
    for arg, value in zip(body.args, args, strict=True):
        arg.name_hint = value.name_hint
        inside[value] = arg
    for constant in constants:
        copy = constant.clone()
        body.add_op(copy)
        inside[constant.res] = copy.res
    for op in group.ops:
        op.detach()
        op.operands = [inside.get(value, value) for value in op.operands]
        body.add_op(op)


@dataclass(frozen=True)
class FusePass(ModulePass):
    """Put operators that run together into kernels."""

    name = "fuse"
    statistics = (KERNELS,)

    host: tuple[str, ...] = ()
    """Operators that run on the host and stay outside, as in `host=nonzero,unique`."""

    max_ops: int = Limits.max_ops
    """The largest number of operators in a kernel."""

    injective_epilogue: bool = Limits.injective_epilogue
    """Whether a transpose may follow a convolution or product into its kernel."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        named = {name if name.startswith("graph.") else f"graph.{name}" for name in self.host}
        host = named | host_operators()
        limits = Limits(self.max_ops, self.injective_epilogue)
        fuse(op, lambda graph_op: graph_op.name in host or not is_definite(graph_op), limits)


def host_operators() -> set[str]:
    """Names of operators that run on the host.

    Those that say so and, once lowerings have been loaded, those without one.
    """
    known = operators().values()
    is_lowering_known = operator("graph.relu").definition is not None
    without = {HOST, None} if is_lowering_known else {HOST}
    return {each.name for each in known if each.definition in without} | SHAPES


SHAPES = {"graph.shape", "graph.size"}
"""Read no element: a kernel would compute what nobody needs."""


def is_definite(op: GraphOp) -> bool:
    """Whether it is known how much `op` computes: its extents, by number or name, and parameters.

    The shape of what depends on data is found on the host.
    """
    values = (*op.operands, *op.results)
    extents = [dims(value.type) for value in values]
    parameters = [value for i, value in enumerate(op.operands) if is_parameter(op, i)]
    return all(found is not None and None not in found for found in extents) and all(
        isinstance(value.owner, ConstantOp) for value in parameters
    )
