"""What graph operators share: types with named dims, constants, inference, fused kernels.

%0 = graph.constant dense<[1, -1]> : tensor<2xi64>
%1 = graph.matmul(%x, %w) : tensor<[batch]x64xf32>
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from enum import IntEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from xdsl.dialects.builtin import BytesAttr, DenseIntOrFPElementsAttr, StringAttr, TensorType
from xdsl.ir import Attribute, Block, BlockArgument, Data, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.rewriter import Rewriter
from xdsl.traits import ConstantLike, IsolatedFromAbove, IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from ...core.dtypes import element_type, numpy_dtype
from ...core.errors import ModelError, NncError
from ...core.irtypes import as_attribute, tensor_element, tensor_shape
from ...core.locations import describe
from .build import group_operands, group_results
from .types import merge, tensor_type

if TYPE_CHECKING:
    import numpy as np

    ShapeValue = np.ndarray[Any, np.dtype[np.object_]]
    ValueReader = Callable[[SSAValue | None], ShapeValue | None]

INLINE_ELEMENTS = 64
"""Constants up to this many elements are text; larger ones are weights in a side file."""


class Pattern(IntEnum):
    """How an operator may be fused (NNVM's TOpPattern)."""

    ELEMWISE = 0
    BROADCAST = 1
    INJECTIVE = 2
    COMM_REDUCE = 3
    OUT_ELEMWISE_FUSABLE = 4
    OPAQUE = 8


@irdl_attr_definition
class WeightAttr(Data["Weight"]):
    """A large constant, named by the SHA-256 of its content: `#graph.weight<"f0e1...">`."""

    name = "graph.weight"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Weight:
        with parser.in_angle_brackets():
            return Weight(parser.parse_str_literal(), None)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string_literal(self.data.digest)


class Weight:
    """A weight's digest and, once it has been found, its array (read-only, maybe memory mapped).

    Two weights are equal when their digests are. The digest covers dtype, shape and bytes.
    """

    def __init__(self, digest: str, array: np.ndarray[Any, Any] | None):
        self.digest = digest
        self.array = array

    @staticmethod
    def of(array: np.ndarray[Any, Any]) -> Weight:
        """The weight with this content."""
        import numpy as np

        array = np.ascontiguousarray(array)
        state = sha256(f"{array.dtype.name}{array.shape}".encode())
        state.update(array.reshape(-1).view(np.uint8).data)  # bfloat16 has no buffer of its own
        return Weight(state.hexdigest(), array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weight) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class GraphOp(IRDLOperation):
    """An operator: pure, one registration of everything the compiler knows of it.

    A subclass declares operands, properties and results after the newest ONNX operator of the same
    meaning (same order; names in snake case, properties as in ONNX), says its fusion class, and
    infers its result types. Properties: INT is i64, FLOAT is f32, INTS and FLOATS are arrays of
    these, STRING is a string; those in `DTYPE_PROPERTIES`, an ONNX data type, are element types.

    The hooks, all pure functions of the op (`infer-shapes` calls them until nothing changes):

    * `infer`: result types from operand types, properties, and constant or shape operands;
    * `infer_operands`: operand types from result types (symbol graphs: shapes flow backward);
    * `infer_values`: the content of small integer results, as extents (values.py).

    What a hook returns is merged (`types.merge`) into what is known; it never takes back. The
    NumPy meaning stands in `reference/graph/`, the lowering in `lowering/graph_to_te/`; registry.py
    finds all by name.
    """

    ONNX_NAME: ClassVar[str] = ""
    PATTERN: ClassVar[Pattern] = Pattern.OPAQUE
    DTYPE_PROPERTIES: ClassVar[tuple[str, ...]] = ()
    COMMUTATIVE: ClassVar[bool] = False
    """Whether the first two operands may be exchanged."""
    IS_CHEAP: ClassVar[bool] = False
    """Whether an element is about as cheap to compute again as to load: `fuse` may repeat it."""
    PASSES_OVER_INPUT: ClassVar[int] = 0
    """Of an operator that reduces its operand several times over, as softmax does: how often it
    reads it. What is elementwise before it may then go into its kernel."""

    traits = traits_def(Pure())

    @abstractmethod
    def infer(self) -> Sequence[Attribute]:
        """Result types from operand types, properties and constant operands.

        Operands may be unranked or of unknown element type; then as much is returned as is known.
        Raises: ModelError: the operands do not fit this operator (message without location: the
            pass adds the ONNX node's name).
        """

    def inferred(self) -> Sequence[Attribute]:
        """What `infer` says, a tensor type for each result.

        Raises: ModelError: as `infer`; or it says something else, which is its author's mistake.
        """
        said: object = self.infer()
        types = list(cast("Sequence[object]", said)) if isinstance(said, list | tuple) else []
        fits = len(types) == len(self.results) and all(isinstance(t, Attribute) for t in types)
        if not fits:
            kind = type(self).__name__
            raise ModelError(
                f"{kind}.infer gives {said!r}, expected a list of {len(self.results)} tensor types"
            )
        return cast("list[Attribute]", types)

    def infer_operands(self) -> Sequence[Attribute | None]:
        """For each operand what the result types and the other operands say of it, or `None`.

        Raises: ModelError: as `infer`.
        """
        return [None] * len(self.operands)

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        """For each result its content, when it is a small integer or boolean tensor.

        `values` reads the content of an operand; `None` where nothing is known.
        """
        del values
        return [None] * len(self.results)

    def verify_(self) -> None:
        """Operands, attributes and results fit what `infer` says of them."""
        try:
            for result, inferred in zip(self.results, self.inferred(), strict=True):
                merge(result.type, inferred)
        except NncError as error:
            raise VerifyException(f"{self.name}: {error.message}") from None

    @classmethod
    def of(
        cls,
        *operands: SSAValue | None,
        results: int | None = None,
        **properties: Attribute | float | str | Sequence[int] | Sequence[float] | None,
    ) -> Self:
        """The op with inferred result types.

        Args:
            operands: by position, `None` for an absent optional one; trailing ones may be left out,
                the rest goes to a variadic one.
            results: their number, where some are optional or variadic (default: the required).
            properties: Python values become i64, f32, strings and arrays.
        Raises: ModelError: the operands do not fit.
        """
        definition = cls.get_irdl_definition()
        arguments = group_operands(definition, operands)
        attributes = {
            name: as_attribute(value) for name, value in properties.items() if value is not None
        }
        unknown = group_results(definition, results, tensor_type(None))
        op = cls(operands=arguments, properties=attributes, result_types=unknown)
        try:
            types = op.inferred()
        except ModelError:
            op.erase()  # it is no user of its operands
            raise
        for result, type_ in zip(op.results, types, strict=True):
            Rewriter.replace_value_with_new_type(result, type_)
        return op


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """A constant tensor: `dense<...>` up to 64 elements, `#graph.weight<...>` beyond."""

    name = "graph.constant"
    value = prop_def(DenseIntOrFPElementsAttr | WeightAttr)
    res = result_def(TensorType)
    traits = traits_def(Pure(), ConstantLike())

    def __init__(self, value: Attribute, type_: Attribute):
        super().__init__(properties={"value": value}, result_types=[type_])

    @staticmethod
    def of(array: np.ndarray[Any, Any]) -> ConstantOp:
        """A constant with this content (any shape and supported dtype)."""
        import numpy as np

        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        type_ = TensorType(element_type(array.dtype), array.shape)
        if array.size > INLINE_ELEMENTS:
            return ConstantOp(WeightAttr(Weight.of(array)), type_)
        # a true of i1 is -1, as everywhere in xDSL
        data = -array.astype(np.int8) if array.dtype == bool else np.ascontiguousarray(array)
        dense_type = cast("TensorType[Any]", type_)
        return ConstantOp(DenseIntOrFPElementsAttr(dense_type, BytesAttr(data.tobytes())), type_)

    @property
    def is_loaded(self) -> bool:
        """Whether `array` can be read: not a weight whose side file has not been loaded."""
        return not isinstance(self.value, WeightAttr) or self.value.data.array is not None

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The content, read-only.

        Raises: ModelError: a weight whose side file has not been loaded.
        """
        import numpy as np

        dtype = numpy_dtype(tensor_element(self.res.type))
        shape = tensor_shape(self.res.type)
        if isinstance(self.value, WeightAttr):
            if self.value.data.array is None:
                raise ModelError(
                    f"the content of weight {self.value.data.digest[:12]} is not known",
                    where=describe(self),
                    hint="the weights of a text FILE lie in FILE.weights.safetensors: give the "
                    "path of FILE, or call nnc.textir.weights.load(module, path)",
                )
            return self.value.data.array
        content = self.value.data.data
        is_bool = dtype == np.bool_
        raw = np.frombuffer(content, np.int8) != 0 if is_bool else np.frombuffer(content, dtype)
        return raw.reshape(shape) if raw.size != 1 else np.broadcast_to(raw[0], shape)


def constant_value(value: SSAValue | None) -> np.ndarray[Any, Any] | None:
    """The content of a value that is a constant (and has been loaded), else `None`."""
    if value is None or not isinstance(value.owner, ConstantOp) or not value.owner.is_loaded:
        return None
    return value.owner.array


@irdl_op_definition
class KernelOp(IRDLOperation):
    """Operators that run as one kernel, made by `fuse`; isolated.

    %y = graph.kernel @conv_relu(%x, %w) {
    ^bb0(%a: ..., %b: ...):
      ...
      graph.yield %r
    } : tensor<...>
    """

    name = "graph.kernel"
    sym_name = prop_def(StringAttr)
    pattern = opt_prop_def(StringAttr)
    args = var_operand_def()
    res = var_result_def()
    body = region_def("single_block")
    traits = traits_def(Pure(), IsolatedFromAbove())

    def __init__(
        self,
        sym_name: str,
        args: Sequence[SSAValue],
        result_types: Sequence[Attribute],
        body: Region | None = None,
    ):
        super().__init__(
            operands=[list(args)],
            properties={"sym_name": StringAttr(sym_name)},
            result_types=[list(result_types)],
            regions=[body or Region(Block(arg_types=[arg.type for arg in args]))],
        )

    def verify_(self) -> None:
        block = self.body.block
        if list(block.arg_types) != [arg.type for arg in self.args]:
            raise VerifyException("the block's arguments differ from the operands")
        last = block.last_op
        if not isinstance(last, YieldOp):
            raise VerifyException("a kernel's body ends with graph.yield")
        if list(last.operand_types) != [result.type for result in self.res]:
            raise VerifyException("graph.yield's types differ from the kernel's results")


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends the body of a kernel or of a control-flow operator."""

    name = "graph.yield"
    values = var_operand_def()
    traits = traits_def(IsTerminator(), Pure())

    def __init__(self, *values: SSAValue):
        super().__init__(operands=[list(values)])


def origin(value: SSAValue) -> SSAValue:
    """The value outside of a fused kernel that an argument stands for."""
    while isinstance(value, BlockArgument) and isinstance(value.block.parent_op(), KernelOp):
        kernel = value.block.parent_op()
        assert isinstance(kernel, KernelOp)
        value = kernel.args[value.index]
    return value
