"""A symbol as a module of the graph dialect, types as far as they are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xdsl.dialects import func
from xdsl.dialects.builtin import FunctionType, ModuleOp, NameLoc, NoneAttr, StringAttr
from xdsl.ir import Attribute, Block, Region, SSAValue

from ...core.dtypes import element_type
from ...core.errors import ModelError, NncError, UnsupportedError
from ...core.irtypes import strings
from ...core.symbolic import symbol as named_dim
from ...dialects.graph.base import ConstantOp, GraphOp
from ...dialects.graph.registry import by_onnx_name
from ...dialects.graph.types import MaybeDim, info, merge, tensor_type
from .symbol import Entry, Node, Symbol

if TYPE_CHECKING:
    import numpy as np

Value = SSAValue


class Emitter:
    """Adds graph operators to a block: `emit("Relu", data)`."""

    def __init__(self, block: Block):
        self.block = block
        self.location = ""

    def __call__(
        self, onnx_name: str, *operands: Value | None, **properties: Attribute | Any
    ) -> Value:
        """The first result of an operator by its ONNX name.

        Raises: ModelError, UnsupportedError: the operands do not fit.
        """
        return self.all(onnx_name, *operands, results=1, **properties)[0]

    def all(
        self,
        onnx_name: str,
        *operands: Value | None,
        results: int | None = None,
        **properties: Attribute | Any,
    ) -> Sequence[Value]:
        """All results of an operator."""
        known = by_onnx_name(onnx_name)
        if known is None:
            raise UnsupportedError(f"graph operator {onnx_name} is not supported")
        return self.add(known.cls.of(*operands, results=results, **properties))

    def add(self, op: GraphOp) -> Sequence[Value]:
        """The results of an operator that has been made."""
        self._append(op)
        return op.results

    def constant(self, content: Any, dtype: str = "int64") -> Value:
        """A constant; lists of integers by default."""
        import numpy as np

        op = ConstantOp.of(np.asarray(content, np.dtype(dtype)))
        self._append(op)
        return op.results[0]

    def scalar_like(self, number: float, like: Value) -> Value:
        """A number in the element type of `like`, which may not be known yet."""
        from ...core.dtypes import dtype_name, numpy_dtype

        element = info(like).element
        if element is None:
            return self("CastLike", self.constant(number, "float32"), like)
        import numpy as np

        if dtype_name(element) == "bfloat16":
            array: np.ndarray[Any, Any] = np.asarray(number, numpy_dtype(element))
            op = ConstantOp.of(array)
            self._append(op)
            return op.results[0]
        return self.constant(number, dtype_name(element))

    def cast(self, value: Value, dtype: str) -> Value:
        """A value in another element type."""
        return self("Cast", value, to=element_type(dtype))

    def rank(self, value: Value, what: str) -> int:
        """The rank of a value, where an operator's meaning depends on it.

        Raises: UnsupportedError: it is not known.
        """
        rank = info(value).rank
        if rank is None:
            raise UnsupportedError(
                f"{what} needs the rank of its input, which is not known yet",
                hint="give the shapes of the variables: Variable(name, shape=...)",
            )
        return rank

    def _append(self, op: ConstantOp | GraphOp) -> None:
        op.location = NameLoc(StringAttr(self.location), NoneAttr())
        self.block.add_op(op)


def module_of(
    symbol: Symbol,
    shapes: Mapping[str, Sequence[int]] | None = None,
    dtypes: Mapping[str, str] | None = None,
) -> ModuleOp:
    """The module `func.func @main` of a symbol; its inputs are the symbol's variables, in order.

    Args:
        symbol: the outputs.
        shapes: of variables, by name; merged with what the variables say themselves.
        dtypes: likewise.

    Raises: ModelError, UnsupportedError: an operator does not fit its inputs, by its name.
    """
    nodes = symbol.nodes()
    variables = [node for node in nodes if node.operator is None]
    _check_names(variables)
    types = _variable_types(nodes, variables, shapes or {}, dtypes or {})
    block = Block(arg_types=[types[node] for node in variables])
    values: dict[Entry, Value] = {}
    for node, argument in zip(variables, block.args, strict=True):
        argument.name_hint = node.name if SSAValue.is_valid_name(node.name) else None
        values[Entry(node)] = argument
    emitter = Emitter(block)
    for node in nodes:
        if node.operator is not None:
            emitted = _emit(emitter, node, [values[entry] for entry in node.inputs])
            values.update({Entry(node, at): value for at, value in enumerate(emitted)})
    results = [values[entry] for entry in symbol.entries]
    block.add_op(func.ReturnOp(*results))
    return ModuleOp([_function(block, variables, symbol)])


def _function(block: Block, variables: Sequence[Node], symbol: Symbol) -> func.FuncOp:
    last = block.last_op
    assert last is not None
    type_ = FunctionType.from_lists(block.arg_types, list(last.operand_types))
    main = func.FuncOp("main", type_, Region(block))
    main.attributes["nnc.input_names"] = strings([node.name for node in variables])
    main.attributes["nnc.output_names"] = strings(symbol.list_output_names())
    return main


def _check_names(variables: Sequence[Node]) -> None:
    twice = [name for name, n in Counter(node.name for node in variables).items() if n > 1]
    if twice:
        raise ModelError(f"several variables are called '{twice[0]}'")


def _variable_types(
    nodes: Sequence[Node],
    variables: Sequence[Node],
    shapes: Mapping[str, Sequence[int]],
    dtypes: Mapping[str, str],
) -> dict[Node, Attribute]:
    types = {node: _own_type(node) for node in variables}
    for node in variables:
        name = node.name
        dims = [int(extent) for extent in shapes[name]] if name in shapes else None
        element = element_type(dtypes[name]) if name in dtypes else None
        types[node] = _merged(types[node], tensor_type(dims, element), f"variable '{name}'")
    for node in nodes:
        operator = node.operator
        if operator is None or operator.shapes is None:
            continue
        known = operator.shapes(node.attributes)
        for name, entry in zip(node.input_names, node.inputs, strict=False):
            if name in known and entry.node in types:
                found = tensor_type(known[name])
                where = f"operator '{node.name}', input '{entry.node.name}'"
                types[entry.node] = _merged(types[entry.node], found, where)
    return types


def _merged(known: Attribute, found: Attribute, where: str) -> Attribute:
    try:
        return merge(known, found)
    except NncError as error:
        raise ModelError(error.message, where=where) from None


def _own_type(node: Node) -> Attribute:
    shape, dtype = node.attributes.get("shape"), node.attributes.get("dtype")
    initial = node.attributes.get("init")
    if initial is not None:
        shape, dtype = shape or initial.shape, dtype or initial.dtype.name
    element = None if dtype is None else element_type(str(dtype))
    return tensor_type(None if shape is None else [_dim(extent) for extent in shape], element)


def _dim(extent: int | str) -> MaybeDim:
    if isinstance(extent, str):
        return named_dim(extent)
    return extent or None  # NNVM writes 0 for an extent that is not known


def _emit(emitter: Emitter, node: Node, inputs: Sequence[Value]) -> Sequence[Value]:
    operator = node.operator
    assert operator is not None
    emitter.location = node.name
    try:
        if operator.is_variadic:
            result = operator.lower(emitter, *inputs, **node.attributes)
        else:
            given = dict(zip(node.input_names, inputs, strict=True))
            arguments = [given.get(name) for name in operator.input_names]
            result = operator.lower(emitter, *arguments, **node.attributes)
    except NncError as error:
        error.where = error.where or f"operator '{node.name}'"
        raise
    results: list[Value] = [result] if isinstance(result, SSAValue) else list(result)
    for value in results:
        if value.name_hint is None and SSAValue.is_valid_name(node.name):
            value.name_hint = node.name
    return results
