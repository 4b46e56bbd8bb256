"""te: what each element of a tensor is.

A `te.kernel` is a function of tensors. It holds `te.compute` ops over logical shapes: an index
space of named axes, reads through affine maps, a straight-line scalar body (xDSL's own `arith` and
`math`), and for reductions a combiner. Nothing here says in which order or where.

    te.kernel @dense(%x: tensor<128x768xf32>, %w: tensor<768x64xf32> const,
                     %b: tensor<64xf32> const) -> tensor<128x64xf32> {
      %c = te.compute @c [i: 128, j: 64] sum [k: 768] { %x[i, k] * %w[k, j] } : tensor<128x64xf32>
      %y = te.compute @y [i: 128, j: 64] { max(%c[i, j] + %b[j], 0.0) } : tensor<128x64xf32>
      te.return %y
    }

Tensors are signless (signed and unsigned arithmetic are different ops); i1 is a boolean.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    FunctionType,
    IndexType,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    UnitAttr,
)
from xdsl.ir import Attribute, Block, Dialect, Region, SSAValue
from xdsl.ir.affine import AffineMap
from xdsl.irdl import (
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
    HasParent,
    IsolatedFromAbove,
    IsTerminator,
    Pure,
    SymbolOpInterface,
)
from xdsl.utils.exceptions import VerifyException

from ..core.affine import Ranges, bounds
from ..core.irtypes import ints, strings, tensor_element, tensor_shape
from .index_space import (
    AnyCoeffOp,
    AnyIndexOp,
    AxisAttr,
    axis_ranges,
    enclosing_axes,
    verify_combiner,
    verify_index_space,
)


@irdl_op_definition
class KernelOp(IRDLOperation):
    """A function of tensors: block arguments in, `te.return` out.

    Arguments whose positions are in `const_args` are known at compile time (weights): a schedule
    may pack them. `arg_names` are the names that schedules and messages use.
    """

    name = "te.kernel"
    sym_name = prop_def(StringAttr)
    function_type = prop_def(FunctionType)
    arg_names = prop_def(ArrayAttr[StringAttr])
    const_args = opt_prop_def(ArrayAttr[IntegerAttr])
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        sym_name: str,
        arg_types: Sequence[Attribute],
        result_types: Sequence[Attribute],
        arg_names: Sequence[str],
        const_args: Sequence[int] = (),
        body: Region | None = None,
    ):
        properties: dict[str, Attribute | None] = {
            "sym_name": StringAttr(sym_name),
            "function_type": FunctionType.from_lists(arg_types, result_types),
            "arg_names": strings(arg_names),
            "const_args": ints(const_args) if const_args else None,
        }
        body = body or Region(Block(arg_types=arg_types))
        for argument, name in zip(body.block.args, arg_names, strict=True):
            argument.name_hint = name
        super().__init__(properties=properties, regions=[body])

    @property
    def const_positions(self) -> frozenset[int]:
        """Positions of the arguments known at compile time."""
        return frozenset(i.value.data for i in self.const_args or ())

    def verify_(self) -> None:
        block = self.body.block
        if tuple(block.arg_types) != tuple(self.function_type.inputs):
            raise VerifyException("block arguments differ from the function type's inputs")
        if len(self.arg_names) != len(block.args):
            raise VerifyException("expected one name for each argument")
        if len({name.data for name in self.arg_names}) != len(self.arg_names):
            raise VerifyException("argument names are not unique")
        if any(position >= len(block.args) for position in self.const_positions):
            raise VerifyException("a const argument's position is out of range")
        last = block.last_op
        if not isinstance(last, ReturnOp):
            raise VerifyException("a kernel ends with te.return")
        if tuple(last.operand_types) != tuple(self.function_type.outputs):
            raise VerifyException("te.return's types differ from the function type's outputs")
        symbols = [op.sym_name.data for op in block.walk() if isinstance(op, ComputeOp | ScanOp)]
        if len(set(symbols)) != len(symbols):
            raise VerifyException("compute symbols are not unique within the kernel")


@irdl_op_definition
class ComputeOp(IRDLOperation):
    """Tensors given point by point.

        %c = te.compute @c [i: 128, j: 64] sum [k: 768] { %x[i, k] * %w[k, j] } : tensor<128x64xf32>

    `axes` are the index space, parallel axes first; every result has the shape of the parallel
    extents. The body has no block arguments: it reads with `te.read`, takes an axis as a number
    with `te.index`, and yields one scalar per result. With reduce axes, `combiner` names one
    combination per result ("sum", "max", ...), or the `combine` region defines one for the whole
    tuple: its block takes the accumulators, then the values, and yields new accumulators; `init`
    then holds the neutral elements.
    """

    name = "te.compute"
    sym_name = prop_def(StringAttr)
    axes = prop_def(ArrayAttr[AxisAttr])
    combiner = opt_prop_def(ArrayAttr[StringAttr])
    init = opt_prop_def(ArrayAttr[Attribute])
    res = var_result_def(TensorType)
    body = region_def("single_block")
    combine = opt_region_def("single_block")
    traits = traits_def(Pure(), HasAncestor(KernelOp))

    def __init__(
        self,
        sym_name: str,
        axes: Sequence[AxisAttr],
        result_types: Sequence[Attribute],
        body: Region,
        *,
        combiner: Sequence[str] = (),
        init: Sequence[Attribute] = (),
        combine: Region | None = None,
    ):
        properties: dict[str, Attribute | None] = {
            "sym_name": StringAttr(sym_name),
            "axes": ArrayAttr(axes),
            "combiner": strings(combiner) if combiner else None,
            "init": ArrayAttr(init) if init else None,
        }
        super().__init__(
            properties=properties,
            result_types=[list(result_types)],
            regions=[body, [combine] if combine else []],
        )
        if len(self.results) == 1:
            self.results[0].name_hint = sym_name

    @property
    def parallel_axes(self) -> list[AxisAttr]:
        """The axes of the result, in order."""
        return [axis for axis in self.axes if not axis.is_reduce]

    @property
    def reduce_axes(self) -> list[AxisAttr]:
        """The axes that the combiner runs over."""
        return [axis for axis in self.axes if axis.is_reduce]

    def verify_(self) -> None:
        verify_index_space(self)
        shape = tuple(axis.size for axis in self.parallel_axes)
        for result in self.results:
            if (got := tensor_shape(result.type)) != shape:
                raise VerifyException(f"expected shape {shape} of the parallel axes, got {got}")
        verify_combiner(self, [tensor_element(r.type) for r in self.results])
        last = self.body.block.last_op
        if not isinstance(last, YieldOp):
            raise VerifyException("a compute's body ends with te.yield")
        expected = [tensor_element(r.type) for r in self.results]
        if list(last.operand_types) != expected:
            raise VerifyException(
                f"te.yield's types {[str(t) for t in last.operand_types]} differ from the "
                f"results' element types {[str(t) for t in expected]}"
            )


@irdl_op_definition
class ReadOp(IRDLOperation):
    """One element of a tensor, through an index map.

        %x[2 * i + kh - 1, k]                a read
        %x[2 * i + kh - 1, k] else 0.0       `fill` where an index is outside the tensor's domain
        %table[(%id), j]                     an opaque index: data-dependent, a scalar of the body

    The map's dimensions are the axes of the enclosing compute, in order; its symbols are the
    operands `symbols` (of type index). A read without `fill` must be provably inside the domain,
    opaque symbols excepted: they are promised to be.
    """

    name = "te.read"
    source = operand_def(TensorType)
    symbols = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    fill = opt_prop_def(Attribute)
    res = result_def()
    traits = traits_def(Pure(), HasAncestor(KernelOp))

    def __init__(
        self,
        source: SSAValue,
        map_: AffineMap,
        symbols: Sequence[SSAValue] = (),
        fill: Attribute | None = None,
    ):
        element = tensor_element(source.type)
        super().__init__(
            operands=[source, list(symbols)],
            properties={"map": AffineMapAttr(map_), "fill": fill},
            result_types=[element],
        )

    def verify_(self) -> None:
        verify_read(self, tensor_shape(self.source.type), tensor_element(self.source.type))


def verify_read(op: ReadOp, shape: Sequence[int], element_type: Attribute) -> None:
    """Map arity, element and fill types, and that an unguarded affine read stays inside."""
    axes = enclosing_axes(op)
    map_ = op.map.data
    if map_.num_dims != len(axes):
        raise VerifyException(
            f"the map has {map_.num_dims} dimensions, the index space {len(axes)}"
        )
    if len(map_.results) != len(shape):
        raise VerifyException(
            f"the map has {len(map_.results)} results, the tensor rank {len(shape)}"
        )
    if map_.num_symbols != len(op.symbols):
        raise VerifyException(f"the map has {map_.num_symbols} symbols, got {len(op.symbols)}")
    if op.res.type != element_type:
        raise VerifyException(f"reads {element_type}, result is {op.res.type}")
    if op.fill is not None:
        if getattr(op.fill, "type", None) != element_type:
            raise VerifyException(f"fill {op.fill} is not of type {element_type}")
        return
    if any(axis.size == 0 for axis in axes):
        return
    ranges = Ranges(axis_ranges(axes))
    for position, (expr, size) in enumerate(zip(map_.results, shape, strict=True)):
        interval = bounds(expr, ranges)
        if interval is not None and (interval[0] < 0 or interval[1] > size):
            raise VerifyException(
                f"index {position} reaches [{interval[0]}, {interval[1]}) of a dimension of "
                f"{size}; a read that may leave the domain needs a fill value"
            )


@irdl_op_definition
class CoeffOp(AnyCoeffOp):
    """An entry of a literal matrix; the map's dimensions are the axes of the compute."""

    name = "te.coeff"


@irdl_op_definition
class IndexOp(AnyIndexOp):
    """The position along one axis of the enclosing compute."""

    name = "te.index"


@irdl_op_definition
class ScanOp(IRDLOperation):
    """A sequential loop over tensors: state in, new state out, every state kept.

        %h = te.scan @h [t: 20] (%s = %h0) {
          %n = te.compute @n [i: 64] { tanh(%x[(%t), i] + %s[i]) } : tensor<64xf32>
          te.yield %n
        } : tensor<20x64xf32>

    The body's block takes the step (an `index`) and one tensor for each init; it yields the new
    states. Result i has shape [steps, *state i]. `reverse` walks from the last step to the first.
    """

    name = "te.scan"
    sym_name = prop_def(StringAttr)
    axis = prop_def(AxisAttr)
    reverse = opt_prop_def(UnitAttr)
    inits = var_operand_def(TensorType)
    res = var_result_def(TensorType)
    body = region_def("single_block")
    traits = traits_def(Pure(), HasParent(KernelOp))

    def __init__(
        self,
        sym_name: str,
        axis: AxisAttr,
        inits: Sequence[SSAValue],
        body: Region,
        reverse: bool = False,
    ):
        results: list[Attribute] = []
        for init in inits:
            shape = [axis.size, *tensor_shape(init.type)]
            results.append(TensorType(tensor_element(init.type), shape))
        super().__init__(
            operands=[list(inits)],
            properties={
                "sym_name": StringAttr(sym_name),
                "axis": axis,
                "reverse": UnitAttr() if reverse else None,
            },
            result_types=[results],
            regions=[body],
        )

    def verify_(self) -> None:
        block = self.body.block
        states = [init.type for init in self.inits]
        if list(block.arg_types) != [IndexType(), *states]:
            raise VerifyException("the body takes the step (index), then the states")
        last = block.last_op
        if not isinstance(last, YieldOp) or list(last.operand_types) != states:
            raise VerifyException("the body yields one new state for each init")
        for state, result in zip(states, self.results, strict=True):
            if tensor_shape(result.type) != (self.axis.size, *tensor_shape(state)):
                raise VerifyException("a scan's result has shape [steps, *state]")


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends the body of a compute, of a combine region, or of a scan."""

    name = "te.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator(), Pure())

    def __init__(self, *values: SSAValue):
        super().__init__(operands=[list(values)])


@irdl_op_definition
class ReturnOp(IRDLOperation):
    """Ends a kernel: its results."""

    name = "te.return"
    values = var_operand_def(TensorType)
    traits = traits_def(IsTerminator(), HasParent(KernelOp))

    def __init__(self, *values: SSAValue):
        super().__init__(operands=[list(values)])


@irdl_op_definition
class CallOp(IRDLOperation):
    """Runs a kernel on tensors: `%y = te.call @dense(%x, %w, %b) : tensor<128x64xf32>`.

    The callee is a `te.kernel`, later the `loop.kernel` of the same name. The tensors are those of
    the graph, so their element types may be unsigned where the kernel's are signless. (`func.call`
    would do but for its verifier, which wants a `func.func`.)
    """

    name = "te.call"
    callee = prop_def(SymbolRefAttr)
    args = var_operand_def(TensorType)
    res = var_result_def(TensorType)
    traits = traits_def(Pure())

    def __init__(self, callee: str, args: Sequence[SSAValue], result_types: Sequence[Attribute]):
        super().__init__(
            operands=[list(args)],
            properties={"callee": SymbolRefAttr(callee)},
            result_types=[list(result_types)],
        )


Te = Dialect(
    "te",
    [KernelOp, ComputeOp, ReadOp, CoeffOp, IndexOp, ScanOp, YieldOp, ReturnOp, CallOp],
    [AxisAttr],
)
