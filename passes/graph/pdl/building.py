"""The rewrite part of a pdl pattern, run on what the match part found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.context import Context
from xdsl.dialects import pdl
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import IRDLOperation
from xdsl.rewriter import Rewriter as IRRewriter
from xdsl.utils.exceptions import VerifyException

from ....core.errors import ModelError, PassError
from ....core.rewriting import Rewriter
from ....dialects.graph.base import GraphOp
from ....dialects.graph.build import group_operands, group_results
from ....dialects.graph.types import merge, tensor_type
from .matching import Found, Match, constant


class Builder:
    """Runs one rewrite: makes ops, then replaces and erases those that were matched.

    Raises: PassError: what it makes is no op, or does not fit in the place of what it replaces.
    """

    def __init__(self, match: Match, ctx: Context, rw: Rewriter):
        self.match = match
        self.found = dict(match.found)
        self.ctx = ctx
        self.rw = rw

    def run(self, body: pdl.RewriteOp) -> None:
        """Everything in the body, in order."""
        replaced = {op.repl_operation: op for op in body.walk() if isinstance(op, pdl.ReplaceOp)}
        with self.rw.located(*self.match.operations):
            for op in body.body.block.ops:
                match op:
                    case pdl.OperationOp():
                        self.found[op.op] = self.operation(op, replaced.get(op.op))
                    case pdl.ReplaceOp():
                        self.replace(op)
                    case pdl.EraseOp():
                        self.rw.erase(self.op(op.op_value))
                    case _:
                        pass  # a value, which is looked up when it is used

    def get(self, value: SSAValue) -> Found:
        """What a value stands for."""
        if value in self.found:
            return self.found[value]
        if (found := constant(value)) is not None:
            return found
        pattern = value.owner
        if isinstance(pattern, pdl.ResultOp):
            results, index = self.op(pattern.parent_).results, pattern.index.value.data
            if index >= len(results):
                raise PassError(f"there is no result {index}")
            return results[index]
        if isinstance(pattern, pdl.ResultsOp):
            return tuple(self.op(pattern.parent_).results)
        assert isinstance(pattern, pdl.RangeOp), "checked when the rule is made"
        return cast("Found", tuple(self.all(pattern.arguments)))

    def all(self, values: Sequence[SSAValue]) -> list[Any]:
        """What values stand for; ranges laid out."""
        flat: list[Any] = []
        for value in values:
            found = self.get(value)
            flat += found if isinstance(found, tuple) else [found]
        return flat

    def op(self, value: SSAValue) -> Operation:
        """The operation that a handle stands for."""
        found = self.get(value)
        assert isinstance(found, Operation), "the type of a handle"
        return found

    def operation(self, pattern: pdl.OperationOp, replaces: pdl.ReplaceOp | None) -> Operation:
        """A new op; types that are left out are those of what it replaces, or inferred."""
        assert pattern.opName is not None, "checked when the rule is made"
        name = pattern.opName.data
        op_class = self.ctx.get_optional_op(name)
        assert op_class is not None, "checked when the rule is made"
        named = zip(pattern.attributeValueNames, pattern.attribute_values, strict=True)
        attributes = {each.data: cast("Attribute", self.get(value)) for each, value in named}
        operands = self.all(pattern.operand_values)
        types = self.all(pattern.type_values)
        if not pattern.type_values and replaces is not None:
            types = list(self.op(replaces.op_value).result_types)
        try:
            made = make(op_class, operands, attributes, types)
        except (ModelError, VerifyException, ValueError) as error:
            raise PassError(f"it makes no {name}: {error}") from None
        try:
            return self.rw.insert(made)
        except Exception:  # a debug counter says no
            made.erase()
            raise

    def replace(self, pattern: pdl.ReplaceOp) -> None:
        """Values of the same types in the place of an op's results."""
        old = self.op(pattern.op_value)
        if pattern.repl_operation is not None:
            values = list(self.op(pattern.repl_operation).results)
        else:
            values = self.all(pattern.repl_values)
        if [value.type for value in values] != list(old.result_types):
            shown = ", ".join(str(value.type) for value in values)
            wanted = ", ".join(map(str, old.result_types))
            raise PassError(f"it puts ({shown}) in the place of ({wanted})")
        self.rw.replace(old, [], values)


def make(
    op_class: type[Operation],
    operands: Sequence[SSAValue],
    attributes: dict[str, Attribute],
    types: Sequence[Attribute],
) -> Operation:
    """An op of a class; without types, a graph operator infers them.

    Raises: ModelError, VerifyException: it does not take these operands.
    """
    if not issubclass(op_class, IRDLOperation):
        return op_class.create(operands=operands, attributes=attributes, result_types=types)
    definition = op_class.get_irdl_definition()
    properties = {n: a for n, a in attributes.items() if n in definition.properties}
    other = {n: a for n, a in attributes.items() if n not in definition.properties}
    if not issubclass(op_class, GraphOp):
        if not types and definition.results:
            raise ModelError("the types of its results are not said: -> (%t : !pdl.type)")
        return op_class.create(
            operands=operands, properties=properties, attributes=other, result_types=types
        )
    made = op_class(
        operands=group_operands(definition, operands),
        properties=properties,
        attributes=other,
        result_types=group_results(definition, len(types) or None, tensor_type(None)),
    )
    try:
        for at, inferred in enumerate(made.inferred()):
            type_ = types[at] if types else inferred
            merge(type_, inferred)
            IRRewriter.replace_value_with_new_type(made.results[at], type_)
    except ModelError:
        made.erase()  # it is no user of its operands
        raise
    return made
