"""Ops of upstream MLIR, one after the other: constants, index arithmetic, scalar bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from xdsl.dialects import arith, vector
from xdsl.dialects.builtin import (
    AnyFloat,
    FloatAttr,
    IndexType,
    IntegerAttr,
    LocationAttr,
    VectorType,
    i1,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineSymExpr,
)

from ...core.errors import PassError
from ...core.locations import describe, set_location
from .on_vectors import defaults, elementwise

INDEX = IndexType()
ARITH: dict[str, type[Operation]] = {op.name: op for op in arith.Arith.operations}
Handler = Callable[[Operation, "Emitter", "Scope"], None]


@dataclass
class Scope:
    """Values of a scalar body: what stands for each, and where a factor is structurally zero."""

    values: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    absent: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])


@dataclass
class Emitter:
    """Appends ops to a block, all with one location.

    Attributes:
        constants: those that the block has, by attribute.
    """

    block: Block
    location: LocationAttr
    constants: dict[Attribute, SSAValue] = field(default_factory=dict[Attribute, SSAValue])

    def inside(self, block: Block) -> Emitter:
        """The same for a block inside this one, which sees its constants."""
        return Emitter(block, self.location, dict(self.constants))

    def add(self, op: Operation) -> SSAValue:
        """Append `op`; its first result."""
        self.append(op)
        return op.results[0]

    def append(self, op: Operation) -> None:
        """Append `op`."""
        set_location(op, self.location)
        self.block.add_op(op)

    def constant(self, value: Attribute) -> SSAValue:
        """A typed attribute as a value; made once."""
        if value not in self.constants or value != value:
            self.constants[value] = self.add(arith.ConstantOp(cast("Any", value)))
        return self.constants[value]

    def index(self, value: int) -> SSAValue:
        """A constant of type index."""
        return self.constant(IntegerAttr(value, INDEX))

    def arith(self, name: str, *operands: SSAValue) -> SSAValue:
        """An arith op by name, whose result has the type of its last operand."""
        op = ARITH[f"arith.{name}"]
        result = [operands[-1].type]
        return self.add(op.create(operands=operands, result_types=result, properties=defaults(op)))

    def compare(self, predicate: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        """A comparison of integers: `slt`, `sge`, `eq` ..."""
        return self.add(arith.CmpiOp(lhs, rhs, predicate))

    def predicate(self, name: str) -> Attribute:
        """The attribute of an integer comparison: `sge`, `eq` ..."""
        return IntegerAttr(arith.CMPI_COMPARISON_OPERATIONS.index(name), i64)

    def is_zero(self, value: SSAValue) -> SSAValue:
        """Whether a scalar is zero."""
        zero = self.constant(zero_of(value.type))
        if isinstance(value.type, AnyFloat):
            return self.add(arith.CmpfOp(value, zero, "oeq"))
        return self.compare("eq", value, zero)

    def affine(
        self, expr: AffineExpr, dims: Sequence[SSAValue], syms: Sequence[SSAValue] = ()
    ) -> SSAValue:
        """The value of an index expression.

        Variables that are vectors make it a vector; scalars beside them stand in every lane.
        """
        match expr:
            case AffineDimExpr():
                return dims[expr.position]
            case AffineSymExpr():
                return syms[expr.position]
            case AffineConstantExpr():
                return self.index(expr.value)
            case AffineBinaryOpExpr():
                lhs, rhs = self.affine(expr.lhs, dims, syms), self.affine(expr.rhs, dims, syms)
                return self._binary(expr.kind, lhs, rhs)
            case _:
                raise PassError(f"no index expression: {expr}")

    def _binary(self, kind: AffineBinaryOpKind, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        if lhs.type != rhs.type:
            lhs, rhs = self.widen(lhs, rhs.type), self.widen(rhs, lhs.type)
        if kind is AffineBinaryOpKind.Mod:  # never negative, as affine maps have it
            quotient = self.arith("floordivsi", lhs, rhs)
            return self.arith("subi", lhs, self.arith("muli", quotient, rhs))
        names = {
            AffineBinaryOpKind.Add: "addi",
            AffineBinaryOpKind.Mul: "muli",
            AffineBinaryOpKind.FloorDiv: "floordivsi",
            AffineBinaryOpKind.CeilDiv: "ceildivsi",
        }
        return self.arith(names[kind], lhs, rhs)

    def widen(self, value: SSAValue, like: Attribute) -> SSAValue:
        """A scalar in every lane of `like`, where that is a vector."""
        if not isinstance(like, VectorType) or isinstance(value.type, VectorType):
            return value
        return self.add(vector.BroadcastOp(value, VectorType(value.type, like.get_shape())))

    def inside_of(self, indices: Sequence[SSAValue], shape: Sequence[int]) -> SSAValue | None:
        """Whether every index is inside its dimension; `None` for no indices."""
        ok: SSAValue | None = None
        for index, size in zip(indices, shape, strict=True):
            for test in (
                self.compare("sge", index, self.index(0)),
                self.compare("slt", index, self.index(size)),
            ):
                ok = test if ok is None else self.arith("andi", ok, test)
        return ok


def emit_body(
    block: Block, emitter: Emitter, scope: Scope, handlers: Mapping[str, Handler]
) -> list[SSAValue]:
    """Append the scalar ops of a body; what its terminator yields.

    `handlers` gives by op name what is no scalar op: reads, positions, literal matrices.
    Raises: PassError: an op that upstream MLIR does not have.
    """
    for op in block.ops:
        if op.name.endswith(".yield"):
            return [scope.values[operand] for operand in op.operands]
        handler = handlers.get(op.name)
        if handler is not None:
            handler(op, emitter, scope)
        elif op.name.partition(".")[0] in ("arith", "math"):
            _emit_scalar(op, emitter, scope)
        else:
            raise PassError(f"{op.name} has no counterpart in upstream MLIR", where=describe(op))
    return []


def _emit_scalar(op: Operation, emitter: Emitter, scope: Scope) -> None:
    if op.name == "arith.constant":
        scope.values[op.results[0]] = emitter.constant(op.properties["value"])
        return
    args = [scope.values[operand] for operand in op.operands]
    if op.name in DIVISIONS:
        value = divide(op.name, args, emitter)
    else:
        value = emitter.add(op.clone(scope.values))
    masks = [scope.absent[o] for o in op.operands if o in scope.absent]
    if masks and op.name in ("arith.mulf", "arith.muli", "arith.extf", "arith.truncf"):
        mask = masks[0] if len(masks) == 1 else emitter.arith("ori", *masks)
        scope.absent[op.results[0]] = mask
        value = emitter.arith("select", mask, emitter.constant(zero_of(value.type)), value)
    scope.values[op.results[0]] = value


DIVISIONS = frozenset(
    f"arith.{name}"
    for name in ("divsi", "divui", "remsi", "remui", "floordivsi", "ceildivsi", "ceildivui")
)


def divide(name: str, args: Sequence[SSAValue], emitter: Emitter) -> SSAValue:
    """Integer division that never traps, as in machine code of ours: x / 0 is x, MIN / -1 wraps.

    Lanes that are masked off hold any value, and the hardware traps for those too.
    """
    lhs, rhs = args
    type_: Any = rhs.type
    is_wide = isinstance(rhs.type, VectorType)
    element = type_.element_type if is_wide else type_
    tests = VectorType(i1, type_.get_shape()) if is_wide else i1

    def number(value: int) -> SSAValue:
        return emitter.widen(emitter.constant(IntegerAttr(value, element)), type_)

    def equals(value: int) -> SSAValue:
        predicate = emitter.predicate("eq")
        made = elementwise("arith.cmpi", [rhs, number(value)], tests, predicate, is_wide)
        return emitter.add(made)

    def select(test: SSAValue, one: SSAValue, other: SSAValue) -> SSAValue:
        return emitter.add(elementwise("arith.select", [test, one, other], type_, None, is_wide))

    def compute(mnemonic: str, *operands: SSAValue) -> SSAValue:
        return emitter.add(elementwise(mnemonic, operands, type_, None, is_wide))

    unsafe = equals(0)
    if name.endswith("ui"):
        return compute(name, lhs, select(unsafe, number(1), rhs))
    minus_one = equals(-1)
    unsafe = emitter.add(elementwise("arith.ori", [unsafe, minus_one], tests, None, is_wide))
    result = compute(name, lhs, select(unsafe, number(1), rhs))
    opposite = number(0) if name == "arith.remsi" else compute("arith.subi", number(0), lhs)
    return select(minus_one, opposite, result)


def zero_of(type_: Attribute) -> Attribute:
    """What changes no sum: -0.0, or 0."""
    if isinstance(type_, AnyFloat):
        return FloatAttr(-0.0, cast("Any", type_))
    return IntegerAttr(0, cast("Any", type_))
