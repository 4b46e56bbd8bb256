"""Kernels, loops, conditionals and buffers; statements and tile ops have files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xdsl.dialects import func, memref, scf
from xdsl.dialects.builtin import IntegerAttr, MemRefType, i1, i64
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineMap, AffineSet

from ...core.errors import PassError
from ...core.locations import describe
from ...dialects import loop
from ..upstream.emit import INDEX, Emitter
from ..upstream.module import exported
from .access import COMPARISONS
from .statement import write_statement
from .tiles import TILE_OPS
from .values import Values, num_registers, register_type, width_of

ALIGNMENT = 64


def memref_of(type_: Attribute) -> MemRefType[Attribute]:
    """The memory of a buffer: its physical shape, row major."""
    assert isinstance(type_, loop.BufferType)
    return MemRefType(type_.element_type, type_.physical_shape)


def convert_kernel(kernel: loop.KernelOp) -> list[Operation]:
    """The globals it needs and the function, not yet inserted anywhere.

    Raises: PassError: an op that upstream MLIR has no counterpart for.
    """
    block = kernel.body.block
    types: list[Attribute] = [memref_of(argument.type) for argument in block.args]
    function = exported(kernel.sym_name.data, types, [], kernel)
    body = function.body.block
    values = Values(dict(zip(block.args, body.args, strict=True)), name=kernel.sym_name.data)
    for argument, new in zip(block.args, body.args, strict=True):
        new.name_hint = argument.name_hint
    emitter = Emitter(body, kernel.location)
    write_block(block, emitter, values)
    emitter.append(func.ReturnOp())
    return [*values.globals(), function]


def write_block(block: Block, emitter: Emitter, values: Values) -> list[SSAValue]:
    """Append what the ops of a block become; the registers of what it yields."""
    buffers: list[SSAValue] = []
    yielded: list[SSAValue] = []
    for op in block.ops:
        emitter.location = op.location
        if isinstance(op, loop.AllocOp):
            alignment = IntegerAttr(ALIGNMENT, i64)
            type_ = memref_of(op.res.type)
            made = memref.AllocOp.get(type_.element_type, alignment, type_.get_shape())
            buffers.append(emitter.add(made))
            buffers[-1].name_hint = op.res.name_hint
            values.scalars[op.res] = buffers[-1]
        elif isinstance(op, loop.YieldOp):
            yielded = values.flat(op.values)
        else:
            _write(op, emitter, values)
    for buffer in buffers:
        emitter.append(memref.DeallocOp.get(buffer))
    return yielded


def _write(op: Operation, emitter: Emitter, values: Values) -> None:
    if isinstance(op, loop.ForOp):
        _for(op, emitter, values)
    elif isinstance(op, loop.IfOp):
        _if(op, emitter, values)
    elif isinstance(op, loop.StmtOp):
        write_statement(op, emitter, values)
    elif op.name in TILE_OPS:
        TILE_OPS[op.name](op, emitter, values)
    elif not isinstance(op, loop.PrefetchOp):  # a hint
        raise PassError(f"{op.name} has no counterpart in upstream MLIR", where=describe(op))


def _for(op: loop.ForOp, emitter: Emitter, values: Values) -> None:
    lower = _bound(op.lower.data, op.lower_args, "maxsi", emitter, values)
    upper = _bound(op.upper.data, op.upper_args, "minsi", emitter, values)
    step = emitter.index(1)
    inits = values.flat(op.inits)
    body = Block(arg_types=[INDEX, *(init.type for init in inits)])
    body.args[0].name_hint = op.variable.name_hint
    values.scalars[op.variable] = body.args[0]
    values.add_loop(op)
    values.define(op.body.block.args[1:], body.args[1:])
    inner = emitter.inside(body)
    yielded = write_block(op.body.block, inner, values)
    if op.kind.data == "parallel" and not inits:
        inner.append(scf.ReduceOp())
        emitter.append(scf.ParallelOp([lower], [upper], [step], Region(body)))
        return
    inner.append(scf.YieldOp(*yielded))
    made = scf.ForOp(lower, upper, step, inits, Region(body))
    emitter.append(made)
    values.define(op.results, made.results)


def _bound(
    map_: AffineMap, args: Sequence[SSAValue], join: str, emitter: Emitter, values: Values
) -> SSAValue:
    dims = values.indices(args)
    first, *others = (emitter.affine(expr, dims) for expr in map_.results)
    for other in others:
        first = emitter.arith(join, first, other)
    return first


def _if(op: loop.IfOp, emitter: Emitter, values: Values) -> None:
    condition = holds(op.condition.data, values.indices(op.ivs), emitter)
    regions: list[Region] = []
    for region in (op.then, op.otherwise):
        inner = emitter.inside(Block())
        yielded = write_block(region.block, inner, values) if region is not None else []
        inner.append(scf.YieldOp(*yielded))
        regions.append(Region(inner.block))
    types: list[Attribute] = []
    for result in op.results:
        type_ = loop.tile_type(result)
        types += [register_type(type_.element_type, width_of(type_))] * num_registers(type_)
    then, otherwise = regions
    made = scf.IfOp(condition, types, then, otherwise)
    emitter.append(made)
    values.define(op.results, cast("Sequence[SSAValue]", made.results))


def holds(set_: AffineSet, dims: Sequence[SSAValue], emitter: Emitter) -> SSAValue:
    """Whether all constraints of a set hold."""
    total: SSAValue | None = None
    for constraint in set_.constraints:
        lhs, rhs = emitter.affine(constraint.lhs, dims), emitter.affine(constraint.rhs, dims)
        test = emitter.compare(COMPARISONS[constraint.kind], lhs, rhs)
        total = test if total is None else emitter.arith("andi", total, test)
    return emitter.constant(IntegerAttr(1, i1)) if total is None else total
