"""assign-layouts: how the tensors of a convolutional network lie in memory, for the whole network.

A convolution runs fastest where the channels of a pixel lie next to each other, a vector of them
(NCHW16c): one load then feeds every output channel, and stores need no shuffle. What kernels hand
to each other keeps that form; `graph.relayout` stands only where a kernel that counts channels in
another way (a reshape, a transpose, an output of the model) meets one that does not.

    %0 = graph.kernel @conv(%x, %w) ... : tensor<1x64x56x56xf32>
    %1 = graph.kernel @conv_1(%0, %v) ... : tensor<1x64x56x56xf32>
    func.return %1
->
    %0 = graph.kernel @conv(%x, %w) ... : tensor<1x64x56x56xf32, blocked>
    %1 = graph.kernel @conv_1(%0, %v) ... : tensor<1x64x56x56xf32, blocked>
    %2 = graph.relayout(%1) : tensor<1x64x56x56xf32>
    func.return %2

The block is a vector of the target (16 lanes on AVX-512); channels that do not fill the last one
leave lanes that nobody reads. A convolution with so few output channels that a row of pixels fills
lanes better than they do (the last layer of a network that makes images) keeps planes. Runs after
`fuse`, on static shapes. NNVM has AlterOpLayout and CorrectLayout for this.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import AffineMapAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import AffineMap
from xdsl.passes import ModulePass
from xdsl.rewriter import Rewriter

from ...core.affine import dim
from ...core.counters import may
from ...core.explain import why_not
from ...core.irtypes import tensor_shape
from ...core.passes import Statistic
from ...dialects.graph.base import ConstantOp, KernelOp, origin
from ...dialects.graph.conv import ConvOp
from ...dialects.graph.movement import RelayoutOp
from ...dialects.graph.types import dims, info, tensor_type
from ...targets import DEFAULT, Target, resolve
from .channels import MIN_CHANNELS, is_windowed, keeps_channels
from .conv_cycles import is_planar_faster

BLOCKED = Statistic("blocked value", "results of kernels with channels in blocks")
RELAYOUTS = Statistic("relayout", "copies between layouts")


def blocked(rank: int, block: int) -> AffineMap:
    """N, C, spatial... with channels in blocks: `(n, c floordiv b, ..., c mod b)`.

    >>> print(blocked(4, 16))
    (d0, d1, d2, d3) -> (d0, (d1 floordiv 16), d2, d3, (d1 mod 16))
    """
    spatial = [dim(i) for i in range(2, rank)]
    return AffineMap(rank, 0, (dim(0), dim(1) // block, *spatial, dim(1) % block))


class LayoutAssignment:
    """Layouts of the values of one block of kernels."""

    def __init__(self, block: Block, target: Target):
        self.block = block
        self.target = target
        self.width = target.lanes
        self.planar: dict[SSAValue, SSAValue] = {}
        self.vectors: dict[SSAValue, SSAValue] = {}

    def run(self) -> None:
        """Choose, then put relayouts where the choices meet."""
        kernels = [op for op in self.block.ops if isinstance(op, KernelOp)]
        chosen: dict[KernelOp, bool] = {}
        for kernel in kernels:
            chosen[kernel] = self.accepts(kernel) and not self.prefers_planes(kernel, chosen)
        for kernel in kernels:
            if chosen[kernel]:
                self.take_operands(kernel)
                self.give_results(kernel, chosen)
        for op in list(self.block.ops):
            if not (isinstance(op, KernelOp) and chosen[op]) and not isinstance(op, RelayoutOp):
                self.take_planar(op)

    def accepts(self, kernel: KernelOp) -> bool:
        """Whether every operator of a kernel works on blocks of channels."""
        for op in kernel.body.block.ops:
            if not keeps_channels(op, self.width):
                if is_windowed(kernel):
                    why_not(kernel, f"{op.name} does not work on blocks of {self.width} channels")
                return False
        return True

    def prefers_planes(self, kernel: KernelOp, chosen: dict[KernelOp, bool]) -> bool:
        """Whether a convolution has too few output channels for blocks."""
        readers = {use.operation for result in kernel.results for use in result.uses}
        wants_blocks = any(isinstance(r, KernelOp) and self.accepts(r) for r in readers)
        for op in kernel.body.block.ops:
            if isinstance(op, ConvOp) and op.group.value.data == 1:
                source = origin(op.x).owner
                has_blocks = isinstance(source, KernelOp) and chosen.get(source, False)
                if is_planar_faster(
                    op, self.target, is_input_blocked=has_blocks, is_output_blocked=wants_blocks
                ):
                    why_not(op, "its output channels fill too few lanes of a block")
                    return True
        return False

    def take_operands(self, kernel: KernelOp) -> None:
        """Blocked operands: those that already are, and where it pays those that are not."""
        gains = is_windowed(kernel) or any(value in self.planar for value in kernel.args)
        for number, value in enumerate(list(kernel.args)):
            if value in self.planar or not gains or not self.is_worth_a_copy(kernel, value):
                continue
            if value not in self.vectors:
                self.vectors[value] = self.relayout(value, self.layout(value), kernel)
            kernel.operands[number] = self.vectors[value]
        for operand, argument in zip(kernel.args, kernel.body.block.args, strict=True):
            if operand.type != argument.type:
                Rewriter.replace_value_with_new_type(argument, operand.type)

    def is_worth_a_copy(self, kernel: KernelOp, value: SSAValue) -> bool:
        """Whether an operand has channels as the result has them, enough to fill lanes."""
        if isinstance(value.owner, ConstantOp) or not self.has_channels(value):
            return False
        shape = tensor_shape(value.type)
        same_rank = len(shape) == len(tensor_shape(kernel.results[0].type))
        if same_rank and shape[1] < MIN_CHANNELS:
            why_not(kernel, f"{shape[1]} channels would leave most lanes of a block empty")
        return same_rank and shape[1] >= MIN_CHANNELS

    def give_results(self, kernel: KernelOp, chosen: dict[KernelOp, bool]) -> None:
        """Blocked results, for a kernel that slides windows, or hands on blocked operands.

        All results or none: computes of one shape have one layout.
        """
        users = [use.operation for result in kernel.results for use in result.uses]
        hands_on = any(isinstance(user, KernelOp) and chosen[user] for user in users)
        has_blocks = any(value in self.planar for value in kernel.args)
        if not is_windowed(kernel) and not (has_blocks and hands_on):
            return
        last = kernel.body.block.last_op
        assert last is not None
        for result, inner in zip(kernel.results, last.operands, strict=True):
            if not self.has_channels(result):
                continue
            if not may(BLOCKED.name, kernel):
                continue
            layout = self.layout(result)
            found = info(result)
            type_ = tensor_type(found.dims, found.element, layout)
            Rewriter.replace_value_with_new_type(inner, type_)
            result = Rewriter.replace_value_with_new_type(result, type_)
            self.planar[result] = result
            BLOCKED.add()

    def has_channels(self, value: SSAValue) -> bool:
        """Whether a value is [n, c, spatial...] with more than one pixel."""
        extents = dims(value.type)
        if extents is None or len(extents) < 3 or not all(isinstance(e, int) for e in extents):
            return False
        shape = tensor_shape(value.type)
        return prod(shape[2:]) > 1 and shape[1] > 1 and prod(shape) > 0

    def layout(self, value: SSAValue) -> AffineMapAttr:
        return AffineMapAttr(blocked(len(tensor_shape(value.type)), self.width))

    def take_planar(self, op: Operation) -> None:
        """Give an op row-major copies of what it reads in blocks."""
        for number, value in enumerate(op.operands):
            if value not in self.planar:
                continue
            if self.planar[value] is value:
                self.planar[value] = self.relayout(value, None, op)
            op.operands[number] = self.planar[value]

    def relayout(self, value: SSAValue, layout: AffineMapAttr | None, user: Operation) -> SSAValue:
        """A copy of a value in another layout, made where the value is."""
        made = RelayoutOp.to(value, layout)
        made.location = user.location
        made.res.name_hint = value.name_hint
        owner = value.owner
        if isinstance(owner, Operation):
            self.block.insert_op_after(made, owner)
        else:
            first = self.block.first_op
            assert first is not None
            self.block.insert_op_before(made, first)
        RELAYOUTS.add()
        return made.res


@dataclass(frozen=True)
class AssignLayoutsPass(ModulePass):
    """Blocked channels for the values between the kernels of a convolutional network."""

    name = "assign-layouts"
    statistics = (BLOCKED, RELAYOUTS)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        named = op.attributes.get("nnc.target")
        target = resolve(named.data if isinstance(named, StringAttr) else DEFAULT)
        for function in op.ops:
            if isinstance(function, FuncOp) and function.body.blocks:
                LayoutAssignment(function.body.block, target).run()
