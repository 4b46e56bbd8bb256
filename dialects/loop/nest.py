"""Nest form: kernels, loops, statements. `dialects/loop/__init__.py` shows an example."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr, IndexType, IntegerAttr, StringAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineMap
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    opt_region_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import (
    HasAncestor,
    IsolatedFromAbove,
    IsTerminator,
    MemoryReadEffect,
    MemoryWriteEffect,
    NoTerminator,
    Pure,
    RecursiveMemoryEffect,
    SymbolOpInterface,
)
from xdsl.utils.exceptions import VerifyException

from ...core.irtypes import int_attr, ints
from ..index_space import AnyCoeffOp, AnyIndexOp, AxisAttr, verify_combiner, verify_index_space
from .types import KINDS, BufferType, buffer_type


@irdl_op_definition
class KernelOp(IRDLOperation):
    """A function over buffers, inputs first, then outputs.

    Its body is a sequence of phases: each top-level loop nest is one, run by all threads over its
    parallel range, with a barrier between two phases. `num_outputs` arguments at the end are
    written; those in `const_args` are known at compile time, and their buffer's layout says how
    they are packed. A pair (operand, result) in `inout`, by argument number, may be one buffer
    (declare-inout finds them).
    """

    name = "loop.kernel"
    sym_name = prop_def(StringAttr)
    arg_names = prop_def(ArrayAttr[StringAttr])
    num_outputs = prop_def(IntegerAttr)
    const_args = opt_prop_def(ArrayAttr[IntegerAttr])
    inout = opt_prop_def(ArrayAttr[ArrayAttr[IntegerAttr]])
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface(), NoTerminator())

    def __init__(
        self,
        sym_name: str,
        arg_types: Sequence[Attribute],
        arg_names: Sequence[str],
        num_outputs: int,
        const_args: Sequence[int] = (),
        body: Region | None = None,
    ):
        body = body or Region(Block(arg_types=arg_types))
        for argument, name in zip(body.block.args, arg_names, strict=True):
            argument.name_hint = name
        super().__init__(
            properties={
                "sym_name": StringAttr(sym_name),
                "arg_names": ArrayAttr([StringAttr(name) for name in arg_names]),
                "num_outputs": int_attr(num_outputs),
                "const_args": ints(const_args) if const_args else None,
            },
            regions=[body],
        )

    @property
    def const_positions(self) -> frozenset[int]:
        """Positions of the arguments known at compile time."""
        return frozenset(i.value.data for i in self.const_args or ())

    @property
    def inout_pairs(self) -> list[tuple[int, int]]:
        """(operand, result) by argument number: those that may be one buffer."""
        pairs = [[number.value.data for number in pair] for pair in self.inout or ()]
        return [(operand, result) for operand, result in pairs]

    def _verify_inout(self) -> None:
        args = self.body.block.args
        first = len(args) - self.num_outputs.value.data
        for pair in self.inout or ():
            numbers = [number.value.data for number in pair]
            if len(numbers) != 2 or not 0 <= numbers[0] < first <= numbers[1] < len(args):
                raise VerifyException("inout has pairs of an input's and an output's number")
            if args[numbers[0]].type != args[numbers[1]].type:
                raise VerifyException("buffers that may be one have one type")

    def verify_(self) -> None:
        args = self.body.block.args
        if len(self.arg_names) != len(args):
            raise VerifyException("expected one name for each argument")
        for argument in args:
            if not isinstance(argument.type, BufferType):
                raise VerifyException(f"kernel arguments are buffers, got {argument.type}")
        if not 0 <= self.num_outputs.value.data <= len(args):
            raise VerifyException("num_outputs is out of range")
        self._verify_inout()
        names = [op.loop_name.data for op in self.body.walk() if isinstance(op, ForOp)]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise VerifyException(f"loop names are not unique: {', '.join(twice)}")


@irdl_op_definition
class AllocOp(IRDLOperation):
    """A temporary buffer, alive in the block that holds it.

    At the top of a kernel a `global` one lives in the arena; `scratch` is a thread's own memory;
    a `register` buffer never becomes memory (form-tiles turns its contents into tiles).
    """

    name = "loop.alloc"
    res = result_def(BufferType)
    traits = traits_def(HasAncestor(KernelOp))

    def __init__(self, type_: BufferType):
        super().__init__(result_types=[type_])


@irdl_op_definition
class ForOp(IRDLOperation):
    """One loop, step 1: `loop.for %k = 0 to 768 carry (%a = %z) {name = "c.k"} { ... }`.

    The lower bound is the maximum of the results of `lower`, the upper bound (exclusive) the
    minimum of those of `upper`; the maps' dimensions are `lower_args` and `upper_args`. The block
    takes the loop variable, then one value for each init; `loop.yield` gives the next ones.
    Schedules address a loop by its `loop_name`, unique in the kernel.
    """

    name = "loop.for"
    loop_name = prop_def(StringAttr)
    kind = prop_def(StringAttr)
    lower = prop_def(AffineMapAttr)
    upper = prop_def(AffineMapAttr)
    lower_args = var_operand_def(IndexType)
    upper_args = var_operand_def(IndexType)
    inits = var_operand_def()
    res = var_result_def()
    body = region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(RecursiveMemoryEffect(), NoTerminator())

    def __init__(
        self,
        loop_name: str,
        lower: int | AffineMap,
        upper: int | AffineMap,
        body: Region | None = None,
        *,
        kind: str = "serial",
        lower_args: Sequence[SSAValue] = (),
        upper_args: Sequence[SSAValue] = (),
        inits: Sequence[SSAValue] = (),
    ):
        low = AffineMap.constant_map(lower) if isinstance(lower, int) else lower
        high = AffineMap.constant_map(upper) if isinstance(upper, int) else upper
        types = [init.type for init in inits]
        super().__init__(
            operands=[list(lower_args), list(upper_args), list(inits)],
            properties={
                "loop_name": StringAttr(loop_name),
                "kind": StringAttr(kind),
                "lower": AffineMapAttr(low),
                "upper": AffineMapAttr(high),
            },
            result_types=[types],
            regions=[body or Region(Block(arg_types=[IndexType(), *types]))],
        )

    @property
    def variable(self) -> SSAValue:
        """The loop variable (an `index`)."""
        return self.body.block.args[0]

    @property
    def only_op(self) -> Operation | None:
        """The one op inside, as in a perfect nest; `None` where there are several, or none."""
        block = self.body.block
        return block.first_op if block.first_op is block.last_op else None

    @property
    def constant_range(self) -> tuple[int, int] | None:
        """(lower, upper) when both are constants."""
        if self.lower_args or self.upper_args:
            return None
        low = max(expr.eval([], []) for expr in self.lower.data.results)
        return low, min(expr.eval([], []) for expr in self.upper.data.results)

    def verify_(self) -> None:
        if self.kind.data not in KINDS:
            raise VerifyException(f"unknown loop kind '{self.kind.data}', expected one of {KINDS}")
        if self.lower.data.num_dims != len(self.lower_args):
            raise VerifyException("the lower bound's dimensions differ from its operands")
        if self.upper.data.num_dims != len(self.upper_args):
            raise VerifyException("the upper bound's dimensions differ from its operands")
        types = [init.type for init in self.inits]
        if list(self.body.block.arg_types) != [IndexType(), *types]:
            raise VerifyException("the block takes the loop variable, then the carried values")
        if [result.type for result in self.results] != types:
            raise VerifyException("a loop has one result for each carried value")
        last = self.body.block.last_op
        if types and (not isinstance(last, YieldOp) or list(last.operand_types) != types):
            raise VerifyException("a loop that carries values yields as many of the same types")


@irdl_op_definition
class StmtOp(IRDLOperation):
    """A te compute over memory: the leaf of a nest.

        loop.stmt @c [i: 128, j: 64] sum [k: 768] = [8 * %io + %ii, %j, %k] -> %c[i, j]
            { %x[i, k] * %w[k, j] }

    `axes`, `combiner`, `init` and both regions are those of `te.compute`. `bind` gives each axis as
    an affine expression of the loop variables `ivs`; the statement runs only where every axis is
    inside its extent. Result r of the body goes to `outs[r]` at `out_maps[r]`. Maps of reads and of
    outs have the axes as dimensions; their symbols are a read's opaque indices first, then `ivs`
    (a buffer that holds a part of its tensor is read relative to the loops around it). With reduce
    axes the first iteration of their loops, the point where every reduce axis is 0, starts from the
    neutral element (of two parts of a partitioned reduction the second goes on).

    `intrinsic`: the vectorize and unroll loops around it are that machine instruction.
    """

    name = "loop.stmt"
    sym_name = prop_def(StringAttr)
    axes = prop_def(ArrayAttr[AxisAttr])
    combiner = opt_prop_def(ArrayAttr[StringAttr])
    init = opt_prop_def(ArrayAttr[Attribute])
    bind = prop_def(AffineMapAttr)
    out_maps = prop_def(ArrayAttr[AffineMapAttr])
    intrinsic = opt_prop_def(StringAttr)
    ivs = var_operand_def(IndexType)
    outs = var_operand_def(BufferType)
    body = region_def("single_block")
    combine = opt_region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect(), HasAncestor(KernelOp))

    @property
    def is_reduction(self) -> bool:
        """Whether the statement combines values over reduce axes."""
        return any(axis.is_reduce for axis in self.axes)

    def verify_(self) -> None:
        verify_index_space(self)
        verify_combiner(self, [buffer_type(out).element_type for out in self.outs])
        bind = self.bind.data
        if bind.num_dims != len(self.ivs) or len(bind.results) != len(self.axes):
            raise VerifyException("bind maps the loop variables to the axes, one result each")
        if len(self.out_maps) != len(self.outs):
            raise VerifyException("expected one out map for each out buffer")
        for map_attr, out in zip(self.out_maps, self.outs, strict=True):
            map_ = map_attr.data
            if map_.num_dims != len(self.axes) or map_.num_symbols != len(self.ivs):
                raise VerifyException("an out map has the axes as dimensions, the ivs as symbols")
            if len(map_.results) != len(buffer_type(out).extents):
                raise VerifyException("an out map has one result for each dimension of its buffer")
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or len(last.operands) != len(self.outs):
            raise VerifyException("a statement's body yields one value for each out buffer")
        for got, out in zip(last.operand_types, self.outs, strict=True):
            if got != (expected := buffer_type(out).element_type):
                raise VerifyException(f"yields {got} to a buffer of {expected}")


@irdl_op_definition
class ReadOp(IRDLOperation):
    """One element of a buffer, inside a statement's body: `%x[i, k]`, `%x[i + kh - 1] else 0.0`.

    As `te.read`, but the map's symbols are the operands `symbols`, then the statement's `ivs`. A
    statement may read what it writes at the same point only as its own accumulator.
    """

    name = "loop.read"
    source = operand_def(BufferType)
    symbols = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    fill = opt_prop_def(Attribute)
    res = result_def()
    traits = traits_def(MemoryReadEffect(), HasAncestor(StmtOp))

    def verify_(self) -> None:
        stmt = self.parent_op()
        if not isinstance(stmt, StmtOp):
            raise VerifyException("loop.read stands in the body of a loop.stmt")
        map_ = self.map.data
        source = buffer_type(self.source)
        if map_.num_dims != len(stmt.axes):
            raise VerifyException("the map's dimensions are the statement's axes")
        if map_.num_symbols != len(self.symbols) + len(stmt.ivs):
            raise VerifyException("the map's symbols are the opaque indices, then the ivs")
        if len(map_.results) != len(source.extents):
            raise VerifyException("the map has one result for each dimension of the buffer")
        if self.res.type != source.element_type:
            raise VerifyException(f"reads {source.element_type}, is {self.res.type}")


@irdl_op_definition
class IndexOp(AnyIndexOp):
    """The position along one axis of the enclosing statement."""

    name = "loop.index"
    traits = traits_def(Pure(), HasAncestor(StmtOp))


@irdl_op_definition
class CoeffOp(AnyCoeffOp):
    """As `te.coeff`, inside a statement; the map's symbols are the statement's ivs."""

    name = "loop.coeff"
    traits = traits_def(Pure(), HasAncestor(StmtOp))


@irdl_op_definition
class PrefetchOp(IRDLOperation):
    """Asks for the cache line of one element: `loop.prefetch %w[%k + 8, 48 * %jo]`.

    A hint: it changes no value, and the element may lie outside the buffer. The map's dimensions
    are `ivs`. It stands in both forms, between loops and statements.
    """

    name = "loop.prefetch"
    source = operand_def(BufferType)
    ivs = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    traits = traits_def(HasAncestor(KernelOp))

    def __init__(self, source: SSAValue, map_: AffineMap, ivs: Sequence[SSAValue]):
        super().__init__(operands=[source, list(ivs)], properties={"map": AffineMapAttr(map_)})

    def verify_(self) -> None:
        if self.map.data.num_dims != len(self.ivs) or self.map.data.num_symbols:
            raise VerifyException("the map's dimensions are the loop variables")
        if len(self.map.data.results) != len(buffer_type(self.source).extents):
            raise VerifyException("the map has one result for each dimension of the buffer")


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a statement's body, a combine region, a loop that carries values, a branch."""

    name = "loop.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator(), Pure())

    def __init__(self, *values: SSAValue):
        super().__init__(operands=[list(values)])
