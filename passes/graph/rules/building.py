"""The right side of an equation as ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from xdsl.ir import Attribute, Operation, SSAValue

from ....core.dtypes import numpy_dtype
from ....dialects.graph.base import ConstantOp, GraphOp
from ....dialects.graph.types import element
from .matching import Match, Operators
from .syntax import Absent, Apply, AttributeExpression, Computed, Expression, Number, Variable

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Insert = Callable[[Operation], object]

ARITHMETIC = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "pow": "power",
    "neg": "negative",
}
"""What can be computed of constants while rewriting, as NumPy calls it."""


class Builder:
    """Makes the ops of an expression from what its names stand for; `insert` places them."""

    def __init__(
        self,
        match: Match,
        operators: Operators,
        functions: Mapping[str, Callable[..., Any]],
        insert: Insert,
    ):
        self.match = match
        self.operators = operators
        self.functions = functions
        self.insert = insert

    def root(self, side: Expression, like: SSAValue) -> Operation:
        """The op of a whole side, not inserted; a constant has the element type of `like`."""
        number = self.number(side)
        if number is not None or not isinstance(side, Apply):
            assert number is not None, "a name that is no constant is forwarded"
            return self.constant(number, like)
        return self.apply(side, like)

    def apply(self, side: Apply, like: SSAValue) -> GraphOp:
        """An operator on its operands; numbers take the element type of the others."""
        operands: list[SSAValue | None] = []
        for arg in side.args:
            is_number = self.number(arg) is not None
            operands.append(None if is_number or isinstance(arg, Absent) else self.value(arg, like))
        typed = next((operand for operand in operands if operand is not None), like)
        for place, arg in enumerate(side.args):
            number = self.number(arg)
            if number is not None:
                operands[place] = self.placed(self.constant(number, typed))
        attributes = {name: self.attribute(a) for name, a in side.attributes.items()}
        return self.of(side.operator).of(*operands, **attributes)

    def of(self, name: str) -> type[GraphOp]:
        """The class that an operator's name stands for."""
        return self.match.classes.get(name) or self.operators[name][0]

    def value(self, side: Expression, like: SSAValue) -> SSAValue:
        """An operand."""
        if isinstance(side, Variable):
            return self.match.values[side.name]
        assert isinstance(side, Apply)
        return self.placed(self.apply(side, like))

    def placed(self, op: Operation) -> SSAValue:
        """The result of an op, once it stands in its block."""
        self.insert(op)
        return op.results[0]

    def constant(self, number: Array | float, like: SSAValue) -> ConstantOp:
        """A constant of the element type of `like`."""
        element_type = element(like.type)
        assert element_type is not None, "a number beside a value of unknown type"
        import numpy as np

        return ConstantOp.of(np.asarray(number).astype(numpy_dtype(element_type)))

    def number(self, side: Expression) -> Array | float | None:
        """What can be computed now: numbers, constants, and arithmetic of these in f64."""
        import numpy as np

        match side:
            case Number():
                return side.value
            case Variable(is_constant=True):
                found: Array = self.match.constants[side.name]
                return found.astype(np.float64) if found.dtype.kind not in "iub" else found
            case Apply(operator=name) if name in ARITHMETIC:
                args = [self.number(arg) for arg in side.args]
                if any(arg is None for arg in args):
                    return None
                with np.errstate(all="ignore"):
                    return np.asarray(getattr(np, ARITHMETIC[name])(*args))
            case _:
                return None

    def attribute(self, expression: AttributeExpression) -> Any:
        """The value of an attribute."""
        if isinstance(expression, Variable):
            found = self.match.get(expression.name)
            return found if isinstance(found, Attribute | None) else float(cast("Any", found))
        if isinstance(expression, Computed):
            args = (self.match.get(name) for name in expression.args)
            made: Attribute | float | str | tuple[int, ...] = self.functions[expression.function](
                *args
            )
            return made
        return expression
