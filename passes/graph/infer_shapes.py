"""Give every value the most definite type that follows from the others.

Shapes and element types flow forward through each operator and, in symbol graphs, backward: an
input without a shape gets the one its users ask for. The hooks of the operators (`infer`,
`infer_operands`; dialects/graph/base.py) are called over the whole graph until nothing changes:
a type that changes far above can change what a shape operand contains without changing its type.
What is known is never taken back; two facts that contradict each other are an error with the
operator's place. The function's type follows.

    func.func @main(%x: tensor<2x3xf32>, %y: tensor<*x!graph.unknown>) {
      %0 = graph.add(%x, %y) : tensor<*x!graph.unknown>
->
    func.func @main(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) {
      %0 = graph.add(%x, %y) : tensor<2x3xf32>

With `shapes` or `dtypes` the inputs are first given these; named extents are then replaced by
numbers everywhere.

Nothing flows from function to function, so one function may stand for the module:
`func.func(infer-shapes)`. A kernel may not: the types of its results belong to what is around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import Rewriter

from ...core.counters import may
from ...core.errors import InputError, ModelError, NncError
from ...core.explain import listener, why_not
from ...core.locations import describe
from ...core.passes import OpPass, Statistic
from ...core.walk import walk
from ...dialects.graph.base import GraphOp, KernelOp, YieldOp
from ...dialects.graph.types import is_known, merge
from .bind_inputs import bind_inputs

REFINED = Statistic("refined type", "types that became more definite")

MAX_SWEEPS = 100
"""Each sweep but the last makes some type more definite; real graphs need two or three."""


def infer_shapes(root: ModuleOp | func.FuncOp) -> None:
    """Refine all types of the graph inside a module or a function until nothing changes.

    Raises: ModelError: types contradict each other, or an operator does not take its operands.
    """
    ops = [op for op in walk(root) if isinstance(op, GraphOp | KernelOp)]
    for _ in range(MAX_SWEEPS):
        forward = [_forward(op) for op in ops]
        backward = [_backward(op) for op in reversed(ops)]
        if not any(forward) and not any(backward):
            break
    for op in walk(root):
        if isinstance(op, func.FuncOp):
            _update_function_type(op)


def specialize(
    root: ModuleOp | func.FuncOp,
    shapes: Mapping[str, Sequence[int]],
    dtypes: Mapping[str, str] | str | None = None,
) -> None:
    """Bind shapes and element types of inputs by name, then infer all others.

    Args:
        root: changed in place.
        shapes: extents by input name; inputs that are not named keep theirs.
        dtypes: NumPy dtype names by input name, or one for every input that has none yet.

    Raises:
        InputError: an unknown name, or a shape or dtype that contradicts the input's type.
        ModelError: the operators cannot take these inputs.
    """
    bind_inputs(root, shapes, dtypes or {})
    infer_shapes(root)


def _forward(op: Operation) -> bool:
    """Result types from operand types; whether any became more definite."""
    if isinstance(op, GraphOp):
        return _refine(op, list(op.results), _hook(op, op.inferred))
    assert isinstance(op, KernelOp)
    entered = _refine(op, list(op.body.block.args), [arg.type for arg in op.args])
    last = op.body.block.last_op
    assert isinstance(last, YieldOp)
    return _refine(op, list(op.results), [value.type for value in last.values]) or entered


def _backward(op: Operation) -> bool:
    """Operand types from result types; whether any became more definite."""
    if isinstance(op, GraphOp):
        return _refine(op, list(op.operands), _hook(op, op.infer_operands))
    assert isinstance(op, KernelOp)
    last = op.body.block.last_op
    assert isinstance(last, YieldOp)
    left = _refine(op, list(last.values), [result.type for result in op.results])
    return _refine(op, list(op.args), [arg.type for arg in op.body.block.args]) or left


def _hook(
    op: GraphOp, call: Callable[[], Sequence[Attribute | None]]
) -> Sequence[Attribute | None]:
    try:
        return call()
    except NncError as error:
        raise _located(op, error) from None


def _located(op: Operation, error: NncError) -> ModelError:
    return ModelError(f"{op.name}: {error.message}", where=describe(op), hint=error.hint)


def _refine(op: Operation, values: Sequence[SSAValue], types: Sequence[Attribute | None]) -> bool:
    """Merge what is known of each value into its type; whether any type changed."""
    changed = False
    for value, type_ in zip(values, types, strict=True):
        if type_ is None or type_ == value.type:
            continue
        try:
            merged = merge(value.type, type_)
        except NncError as error:
            raise _located(op, error) from None
        if merged != value.type and may(REFINED.name, op):
            REFINED.add()
            Rewriter.replace_value_with_new_type(value, merged)
            changed = True
    return changed


def _update_function_type(function: func.FuncOp) -> None:
    if not function.body.blocks:
        return
    block = function.body.block
    last = block.last_op
    if isinstance(last, func.ReturnOp):
        inputs = list(block.arg_types)
        function.function_type = FunctionType.from_lists(inputs, list(last.operand_types))


@dataclass(frozen=True)
class InferShapesPass(OpPass[ModuleOp | func.FuncOp]):
    """Infer shapes and element types, forward and backward."""

    name = "infer-shapes"
    statistics = (REFINED,)

    shapes: tuple[str, ...] = ()
    """Shapes of inputs, as in `shapes="x=1x3x224x224","y=4"`; `x=` is a scalar."""

    dtypes: tuple[str, ...] = ()
    """Element types of inputs, as in `dtypes="x=float32"`; a name alone holds for all others."""

    def run(self, ctx: Context, op: ModuleOp | func.FuncOp) -> None:
        alone = [entry for entry in self.dtypes if "=" not in entry]
        dtypes = dict(_pair(entry) for entry in self.dtypes if "=" in entry)
        shapes = {name: _extents(text) for name, text in map(_pair, self.shapes)}
        if alone:
            bind_inputs(op, {}, alone[0])
        specialize(op, shapes, dtypes)
        if listener() is not None:
            _explain_unknown(op)


def _explain_unknown(root: Operation) -> None:
    """Say of the operators whose results are not known whether that begins with them."""
    for op in walk(root):
        if isinstance(op, GraphOp) and not all(is_known(result.type) for result in op.results):
            unknown = [i for i, operand in enumerate(op.operands) if not is_known(operand.type)]
            which = ", ".join(map(str, unknown))
            what = "not all of its result's type is known"
            why_not(op, f"{what}: nor is operand {which}" if unknown else f"{what} before it runs")


def _pair(entry: str) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    if not equals:
        raise InputError(f"expected name=extents, got '{entry}'", hint='shapes="x=1x3x224x224"')
    return name, value


def _extents(text: str) -> tuple[int, ...]:
    parts = text.split("x") if text else []
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"expected extents such as 1x3x224x224, got '{text}'")
    return tuple(map(int, parts))
