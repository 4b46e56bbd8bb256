"""parse(print(m)) is m, for 500 random modules over every op of our dialects.

The modules are not verified: an op may have any operands, properties and regions. What a readable
form cannot say exactly must fall to the generic one. Well-formed kernels come on top
(test_text_kernels.py).
"""

from __future__ import annotations

import struct
from math import prod
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects import arith, func, math, test
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AffineMapAttr,
    AffineSetAttr,
    ArrayAttr,
    BytesAttr,
    CallSiteLoc,
    ComplexType,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FileLineColLoc,
    FloatAttr,
    FunctionType,
    FusedLoc,
    IntAttr,
    IntegerAttr,
    IntegerType,
    LocationAttr,
    MemRefType,
    ModuleOp,
    NameLoc,
    NoneAttr,
    NoneType,
    Signedness,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    UnitAttr,
    UnknownLoc,
    UnrankedTensorType,
    VectorType,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.dialects.builtin import IndexType as Index
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineConstraintExpr, AffineExpr, AffineMap, AffineSet
from xdsl.ir.affine.affine_set import AffineConstraintKind
from xdsl.irdl import AttrSizedOperandSegments, IRDLOperation
from xdsl.traits import IsolatedFromAbove

from nnc.dialects import DIALECTS
from nnc.dialects.graph.types import EncodingAttr, UnknownType
from nnc.dialects.index_space import AxisAttr
from nnc.dialects.loop import BufferType, TileAxisAttr, TileType
from nnc.textir import parse, print_module
from nnc.textir.equality import equal

FLOATS: list[Any] = [f16, bf16, f32, f64]
INTEGERS: list[Any] = [
    *(IntegerType(bits) for bits in (1, 2, 8, 16, 32, 64, 128)),
    *(IntegerType(bits, Signedness.UNSIGNED) for bits in (8, 64)),
    *(IntegerType(bits, Signedness.SIGNED) for bits in (4, 16)),
]
STRINGS = [
    "",
    "a",
    "x y",
    'quo"te',
    "back\\slash",
    "tab\tnew\nline",
    "é",
    "日本\n",
    "\x00\x7f",
    "//",
]
WORDS = ["i", "j", "sum", "max", "serial", "parallel", "reduce", "global", "y.j.o", "register", "k"]
HINTS = ["x", "y", "x_1", "a.b", "c$d", "_", "_1", "long_name_22", "m-n", "to", "out"]
NAMES = ["a", "b", "axes", "value", "name", "strides", "sym_name", "loop_name", "not an id", "k.v"]


class Maker:
    """Random IR from one seed."""

    def __init__(self, seed: int):
        self.r = Random(seed)
        self.budget = self.r.choice([3, 6, 12])
        self.ops = [op for name in DIALECTS for op in DIALECTS[name]().operations]
        self.ops += [arith.AddfOp, arith.ConstantOp, arith.CmpiOp, arith.AddiOp, math.ExpOp]
        self.ops += [func.FuncOp, func.CallOp, func.ReturnOp, test.TestOp, ModuleOp]

    def chance(self, probability: float) -> bool:
        return self.r.random() < probability

    def string(self) -> str:
        return self.r.choice(STRINGS + WORDS)

    # --- types

    def scalar(self) -> Any:
        return self.r.choice([*FLOATS, *INTEGERS, Index()])

    def shape(self, dynamic: bool = False) -> list[int]:
        sizes = [0, 1, 2, 3] + ([DYNAMIC_INDEX] * 2 if dynamic else [])
        return [self.r.choice(sizes) for _ in range(self.r.randrange(4))]

    def type(self, depth: int = 0) -> Any:
        makers = [self.scalar, self.tensor, self.tile, self.buffer, self.odd_type]
        return self.r.choice(makers)() if depth < 2 else self.scalar()

    def tensor(self) -> Any:
        element = self.r.choice([self.scalar(), UnknownType()])
        if self.chance(0.15):
            return UnrankedTensorType(element)
        shape = self.shape(dynamic=True)
        if self.chance(0.5):
            return TensorType(element, shape)
        return TensorType(element, shape, self.encoding(shape))

    def encoding(self, shape: list[int]) -> EncodingAttr:
        dims: list[Any] = [
            self.r.choice([StringAttr("batch"), StringAttr("2 * seq + 1"), StringAttr("?")])
            if size < 0 or self.chance(0.1)
            else IntegerAttr(size, i64)
            for size in shape
        ]
        layout = AffineMapAttr(self.map(len(shape), 0)) if self.chance(0.3) else NoneAttr()
        return EncodingAttr(ArrayAttr(dims), layout)

    def tile(self) -> TileType:
        names = self.r.sample(["i", "j", "k", "axis.o", "mask"], self.r.randrange(4))
        axes = [TileAxisAttr.get(name, 1 + self.r.randrange(9)) for name in names]
        if axes and self.chance(0.5):
            axes[-1] = TileAxisAttr.get(names[-1], 16, "lanes")
        return TileType.get(axes, self.scalar())

    def buffer(self) -> BufferType:
        shape = self.shape()
        space = self.r.choice(["global", "register", "scratch"])
        layout = self.map(len(shape), 0) if self.chance(0.3) else None
        return BufferType.get(shape, self.scalar(), space, layout)

    def odd_type(self) -> Any:
        return self.r.choice(
            [
                FunctionType.from_lists([self.scalar()], [self.scalar()] * self.r.randrange(3)),
                FunctionType.from_lists([], [FunctionType.from_lists([], [])]),
                VectorType(f32, [4, 2]),
                MemRefType(f32, [4, DYNAMIC_INDEX]),
                ComplexType(f32),
                NoneType(),
            ]
        )

    # --- attributes

    def float(self) -> FloatAttr[Any]:
        type_ = self.r.choice(FLOATS)
        bits = self.r.choice([0x7FF8000000000001, 0xFFF0000000000000, 0x7FF0000000000000, 0])
        special = struct.unpack("<d", struct.pack("<Q", bits))[0]
        values = [0.0, -0.0, 1.0, -2.5, 0.1, 1e-7, 65504.0, 1.5e30, self.r.gauss(0, 100), special]
        value = self.r.choice(values)
        if type_ is f16 and abs(value) > 65504 and abs(value) != float("inf"):
            value = 0.5
        return FloatAttr(value, type_)

    def integer(self) -> IntegerAttr[Any]:
        type_ = self.r.choice([*INTEGERS, Index()])
        if isinstance(type_, Index):
            return IntegerAttr(self.r.choice([-3, 0, 5]), type_)
        low, high = type_.value_range()
        return IntegerAttr(self.r.choice([low, -1 if low else 0, 0, 1 % high, high - 1]), type_)

    def dense(self) -> Any:
        element: Any = self.scalar()
        shape = self.shape()
        if element.name == "integer_type" and element.width.data not in (1, 8, 16, 32, 64):
            element = i8
        size: int = element.compile_time_size
        count = prod(shape)
        if element == i1:
            data = bytes(self.r.randrange(2) for _ in range(count))
        elif self.chance(0.3):
            data = bytes(self.r.randrange(256) for _ in range(size)) * count
        else:
            data = bytes(self.r.randrange(256) for _ in range(size * count))
        return DenseIntOrFPElementsAttr(TensorType(element, shape), BytesAttr(data))

    def dense_array(self) -> Any:
        element = self.r.choice([i1, i8, i32, i64, f32, f64])
        if element in (f32, f64):
            values: list[Any] = [self.r.choice([0.5, -0.0, float("nan")]) for _ in range(2)]
        else:
            values = [self.r.randrange(2) for _ in range(self.r.randrange(4))]
        return DenseArrayBase.from_list(element, values)

    def expr(self, dims: int, syms: int, depth: int = 0) -> AffineExpr:
        if depth > 2 or self.chance(0.4):
            leaves = [AffineExpr.constant(self.r.choice([-7, -1, 0, 1, 5]))]
            leaves += [AffineExpr.dimension(at) for at in range(dims)]
            leaves += [AffineExpr.symbol(at) for at in range(syms)]
            return self.r.choice(leaves)
        left, right = self.expr(dims, syms, depth + 1), self.expr(dims, syms, depth + 1)
        size = self.r.choice([2, 3, 8])
        match self.r.randrange(5):
            case 0:
                return left * self.r.choice([-8, -1, 2, 16])
            case 1:
                return left // size
            case 2:
                return left % size
            case 3:
                return left - right
            case _:
                return left + right

    def map(self, dims: int, syms: int) -> AffineMap:
        results = tuple(self.expr(dims, syms) for _ in range(1 + self.r.randrange(3)))
        return AffineMap(dims, syms, results)

    def set(self, dims: int) -> AffineSet:
        kinds = list(AffineConstraintKind)
        constraints = tuple(
            AffineConstraintExpr(self.r.choice(kinds), self.expr(dims, 0), self.expr(dims, 0))
            for _ in range(1 + self.r.randrange(2))
        )
        return AffineSet(dims, 0, constraints)

    def attribute(self, depth: int = 0) -> Attribute:
        leaves = [
            self.float,
            self.integer,
            lambda: StringAttr(self.string()),
            self.dense,
            self.dense_array,
            self.type,
            UnitAttr,
            lambda: SymbolRefAttr(self.string() or "s", self.r.sample(["t", "u v"], 1)),
            lambda: SymbolRefAttr(self.r.choice(WORDS)),
            lambda: AffineMapAttr(self.map(self.r.randrange(3), self.r.randrange(2))),
            lambda: AffineSetAttr(self.set(2)),
            lambda: AxisAttr.get("i", "parallel", 3),
            lambda: arith.FastMathFlagsAttr("fast"),
        ]
        if depth < 2:
            leaves += [
                lambda: ArrayAttr([self.attribute(depth + 1) for _ in range(self.r.randrange(3))]),
                lambda: ArrayAttr([IntegerAttr(at, i64) for at in range(self.r.randrange(4))]),
                lambda: ArrayAttr([StringAttr(word) for word in self.r.sample(WORDS, 2)]),
                lambda: DictionaryAttr({n: self.attribute(depth + 1) for n in self.names(2)}),
            ]
        return self.r.choice(leaves)()

    def names(self, most: int) -> list[str]:
        return self.r.sample(NAMES, self.r.randrange(most + 1))

    def location(self) -> LocationAttr:
        file = FileLineColLoc(StringAttr(self.string()), IntAttr(3), IntAttr(14))
        return self.r.choice(
            [
                UnknownLoc(),
                file,
                NameLoc(StringAttr("Conv_4"), NoneAttr()),
                NameLoc(StringAttr(self.string()), file),
                CallSiteLoc(file, UnknownLoc()),
                FusedLoc((file, NameLoc(StringAttr("a"), NoneAttr())), NoneAttr()),
                FusedLoc((file,), StringAttr("why")),
            ]
        )

    # --- ops

    def op(self, values: list[SSAValue], blocks: list[Block], depth: int) -> Operation:
        self.budget -= 1
        op_class: Any = self.r.choice(self.ops)
        count = self.r.randrange(4)
        operands = [self.r.choice(values) for _ in range(count)] if values else []
        properties, attributes = self.dictionaries(op_class, len(operands))
        isolated = op_class.has_trait(IsolatedFromAbove)
        regions = [
            self.region([] if isolated else values, depth + 1)
            for _ in range(self.r.choice([0, 1, 1, 2]) if depth < 4 and self.budget > 0 else 0)
        ]
        op: Operation = op_class.create(
            operands=operands,
            result_types=[self.type() for _ in range(self.r.choice([0, 1, 1, 2]))],
            properties=properties,
            attributes=attributes,
            location=self.location(),
            regions=regions,
            successors=[self.r.choice(blocks)] if blocks and self.chance(0.1) else [],
        )
        self.hints(op.results)
        return op

    def dictionaries(
        self, op_class: Any, num_operands: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        properties: dict[str, Attribute] = {}
        definition = op_class.get_irdl_definition()
        for name, prop in definition.properties.items():
            if self.chance(0.75):
                properties[name] = self.plausible(str(prop.constr))
        for option in definition.options:
            if isinstance(option, AttrSizedOperandSegments):
                properties["operandSegmentSizes"] = self.segments(definition, num_operands)
        attributes = {name: self.attribute() for name in self.names(2)}
        if issubclass(op_class, IRDLOperation) and self.chance(0.03) and definition.properties:
            attributes[next(iter(definition.properties))] = self.attribute()
        return properties, attributes

    def segments(self, definition: Any, count: int) -> Attribute:
        sizes = [0] * len(definition.operands)
        for _ in range(count):
            sizes[self.r.randrange(len(sizes))] += 1
        if self.chance(0.1):
            sizes = [*sizes, 1]
        return DenseArrayBase.from_list(i32, sizes)

    def plausible(self, constraint: str) -> Attribute:
        """Often of the declared kind, sometimes anything."""
        if self.chance(0.2):
            return self.attribute()
        kinds: dict[str, Any] = {
            "ArrayOfConstraint": lambda: self.r.choice(
                [
                    ArrayAttr([IntegerAttr(2, i64)]),
                    ArrayAttr([StringAttr("sum")]),
                    ArrayAttr([AxisAttr.get("i", "parallel", 4), AxisAttr.get("k", "reduce", 3)]),
                ]
            ),
            "StringAttr": lambda: StringAttr(self.string()),
            "IntegerAttr": self.integer,
            "FloatAttr": self.float,
            "AffineMapAttr": lambda: AffineMapAttr(self.map(2, 1)),
            "AffineSetAttr": lambda: AffineSetAttr(self.set(2)),
            "FunctionType": lambda: FunctionType.from_lists([f32], []),
            "SymbolRefAttr": lambda: SymbolRefAttr("main"),
            "AxisAttr": lambda: AxisAttr.get("t", "parallel", 2),
        }
        for kind, make in kinds.items():
            if kind in constraint:
                return make()
        return self.attribute()

    def hints(self, values: Any) -> None:
        for value in values:
            if self.chance(0.5):
                value.name_hint = self.r.choice(HINTS)

    def region(self, outer: list[SSAValue], depth: int) -> Region:
        blocks = [
            Block(arg_types=[self.type() for _ in range(self.r.randrange(3))])
            for _ in range(self.r.choice([0, 1, 1, 1, 2]))
        ]
        for block in blocks:
            self.hints(block.args)
            if self.chance(0.2):
                block.name_hint = self.r.choice(["entry", "exit", "loop_1"])
            for argument in block.args:
                argument.location = self.location()
            values = [*outer, *block.args]
            for _ in range(self.r.randrange(4)):
                op = self.op(values, blocks, depth)
                block.add_op(op)
                values += op.results
        return Region(blocks)

    def module(self) -> ModuleOp:
        block = Block()
        values: list[SSAValue] = []
        while self.budget > 0:
            op = self.op(values, [], 0)
            block.add_op(op)
            values += op.results
        return ModuleOp(Region(block))


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32))
def test_round_trip(seed: int) -> None:
    module = Maker(seed).module()
    for generic in (False, True):
        text = print_module(module, generic=generic)
        assert equal(module, parse(text), names=True) is None, text
    if seed % 3 == 0:
        text = print_module(module, locations=True)
        assert equal(module, parse(text), names=True, locations=True) is None, text


def test_random_modules_use_every_op() -> None:
    """The generator reaches what it is meant to reach."""
    seen = {op.name for seed in range(400) for op in Maker(seed).module().walk()}
    wanted = {op.name for name in DIALECTS for op in DIALECTS[name]().operations}
    assert wanted <= seen, sorted(wanted - seen)
