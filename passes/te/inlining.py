"""Putting the body of a compute where it is read: what the rewrite does, without a policy.

    %a = te.compute @a [i: 8] { %x[i + 1] * 2.0 }
    %b = te.compute @b [i: 4] { %a[2 * i] + 1.0 }
->
    %b = te.compute @b [i: 4] { %x[2 * i + 1] * 2.0 + 1.0 }
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from xdsl.dialects.builtin import AffineMapAttr
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.rewriter import Rewriter

from ...core.affine import dim, simplify, substitute
from ...dialects import te
from ...dialects.index_space import enclosing_axes
from ...dialects.te_build import Body, KernelBuilder, Scalar
from ...dialects.te_build.ops import INDEX
from ...dialects.te_build.tensor import own_symbols


def inline_computes(block: Block, inlined: Collection[te.ComputeOp]) -> None:
    """Inline these computes of a kernel's (or a scan's) block into all that read them.

    Each has one result and no reduction, and is used by unguarded reads of computes of the same
    block only: `inlinable_uses` says so.
    """
    bodies: dict[SSAValue, te.ComputeOp] = {compute.results[0]: compute for compute in inlined}
    for op in list(block.ops):
        if isinstance(op, te.ComputeOp) and op not in inlined and _reads(op, bodies):
            _rebuild(op, bodies)
    for op in reversed([op for op in block.ops if op in inlined]):
        Rewriter.erase_op(op)


def inlinable_uses(compute: te.ComputeOp) -> list[te.ReadOp] | None:
    """The reads of a compute that can be inlined; `None` if it must stay."""
    if len(compute.results) != 1 or compute.reduce_axes:
        return None
    reads: list[te.ReadOp] = []
    for use in compute.results[0].uses:
        read = use.operation
        if not isinstance(read, te.ReadOp) or read.fill is not None:
            return None
        reader = read.parent_op()
        if not isinstance(reader, te.ComputeOp) or reader.parent is not compute.parent:
            return None
        reads.append(read)
    return reads


def _reads(op: te.ComputeOp, bodies: dict[SSAValue, te.ComputeOp]) -> bool:
    return any(isinstance(o, te.ReadOp) and o.source in bodies for o in op.body.block.ops)


def _rebuild(op: te.ComputeOp, bodies: dict[SSAValue, te.ComputeOp]) -> None:
    builder = KernelBuilder("inline", {})
    builder.location = op.location
    block = Block()
    body = Body(builder, block, [(axis.label, axis.size) for axis in op.axes])
    axes = [dim(position) for position in range(len(op.axes))]
    values = _Expansion(body, builder, bodies).run(op.body.block, axes)
    body.finish_values(values)
    regions = [Region(block)]
    if op.combine is not None:
        combine = op.combine
        op.detach_region(combine)
        regions.append(combine)
    new = te.ComputeOp.create(
        result_types=op.result_types,
        properties=op.properties,
        attributes=op.attributes,
        regions=regions,
        location=op.location,
    )
    hints = [result.name_hint for result in op.results]
    Rewriter.replace_op(op, new)
    for result, hint in zip(new.results, hints, strict=True):
        result.name_hint = hint


class _Expansion:
    """Writes bodies into one new body, with their axes replaced by index expressions of its."""

    def __init__(self, body: Body, builder: KernelBuilder, bodies: dict[SSAValue, te.ComputeOp]):
        self.body = body
        self.builder = builder
        self.bodies = bodies

    def run(self, block: Block, axes: Sequence[AffineExpr]) -> list[SSAValue]:
        """The values that `block` yields where its axes are at these positions."""
        env: dict[SSAValue, SSAValue] = {}
        for op in block.ops:
            self.builder.location = op.location
            operands = [env.get(operand, operand) for operand in op.operands]
            if isinstance(op, te.YieldOp):
                return operands
            env[op.results[0]] = self._value(op, operands, axes)
        raise AssertionError("a body ends with te.yield")

    def _value(
        self, op: Operation, operands: Sequence[SSAValue], axes: Sequence[AffineExpr]
    ) -> SSAValue:
        if isinstance(op, te.ReadOp):
            return self._read(op, operands[1:], axes)
        if isinstance(op, te.IndexOp):
            names = [axis.label for axis in enclosing_axes(op)]
            return self.body.number(axes[names.index(op.axis.data)]).value
        if isinstance(op, te.CoeffOp):
            results = [self._at(expr, axes, ()) for expr in op.map.data.results]
            map_ = AffineMapAttr(AffineMap(len(self.body.axes), 0, tuple(results)))
            properties = {"values": op.values, "map": map_}
            return self.body.emit((te.CoeffOp, properties), (), op.res.type)
        return self.body.emit((type(op), op.properties), operands, op.results[0].type)

    def _read(
        self, op: te.ReadOp, symbols: Sequence[SSAValue], axes: Sequence[AffineExpr]
    ) -> SSAValue:
        opaque = [self.body.opaque(Scalar(self.body, value, INDEX)).expr for value in symbols]
        place = [self._at(expr, axes, opaque) for expr in op.map.data.results]
        producer = self.bodies.get(op.source)
        if producer is not None:
            return self.run(producer.body.block, place)[0]
        exprs, used = own_symbols(self.body, place)
        return self.body.read(op.source, tuple(exprs), used, op.fill, op.res.type)

    def _at(
        self, expr: AffineExpr, axes: Sequence[AffineExpr], symbols: Sequence[AffineExpr]
    ) -> AffineExpr:
        return simplify(substitute(expr, axes, symbols), self.body.ranges)
