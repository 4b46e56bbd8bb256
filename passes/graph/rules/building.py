"""The right side of an equation as ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import Rewriter as XdslRewriter

from ....core.dtypes import numpy_dtype
from ....core.errors import ModelError
from ....dialects.graph.base import ConstantOp, GraphOp
from ....dialects.graph.movement import ExpandOp
from ....dialects.graph.types import dims, element, merge
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

    def root(self, side: Expression, like: SSAValue) -> None:
        """The op of a whole side, and the last that is inserted; it has the type of `like`.

        Raises: ModelError: the operators do not take what the match gives them, a number is none of
            the element type, or the result would have another type.
        """
        number = self.number(side)
        if number is not None:
            made = self.filled(number, like)
        else:
            assert isinstance(side, Apply), "a name that is no constant is forwarded"
            made = self.placed(self.apply(side, like))
        merge(like.type, made.type)
        XdslRewriter.replace_value_with_new_type(made, like.type)

    def filled(self, number: Array | float, like: SSAValue) -> SSAValue:
        """A constant of the shape of `like`: a number is expanded."""
        import numpy as np

        extents = dims(like.type)
        if extents is None or not all(isinstance(extent, int) for extent in extents):
            raise ModelError("the extents of a constant result must be known")
        made = self.placed(self.constant(number, like))
        if dims(made.type) == extents:
            return made
        shape = self.placed(ConstantOp.of(np.asarray(extents, np.int64)))
        return self.placed(ExpandOp.of(made, shape))

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
        """A constant of the element type of `like`.

        Raises: ModelError: that is not known, or of integers and does not hold the number.
        """
        import numpy as np

        element_type = element(like.type)
        if element_type is None:
            raise ModelError("a number stands beside a value of unknown element type")
        array, dtype = np.asarray(number), numpy_dtype(element_type)
        with np.errstate(all="ignore"):
            made = array.astype(dtype)
        if dtype.kind in "iub" and not np.array_equal(made, array):
            raise ModelError(f"{_text(array)} is no {element_type}")
        return ConstantOp.of(made)

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


def _text(array: Array) -> str:
    return str(array) if array.ndim == 0 else "a constant"
