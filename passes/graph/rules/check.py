"""Whether the two sides of a rule agree: by execution, on random inputs.

For each drawing every name of the left side gets an input or a constant of some shape and element
type, the left side is built and rewritten by the rule, and both are run by the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from ....core.dtypes import element_type
from ....core.errors import NncError
from ....core.rewriting import rewrite
from ....dialects.graph.base import ConstantOp, GraphOp
from .building import Array, Builder
from .matching import Match
from .rule import Rule, applications, names
from .syntax import Apply, Equation, Expression, Number, Variable

if TYPE_CHECKING:
    import numpy as np

DTYPES = ("float32", "float64", "float16", "int32", "int64", "int8", "uint8", "bool")
SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (3,), (2, 3), (2, 1, 4), (0, 3))
CONSTANTS = (2.0, 0.5, -4.0, 3.0, 0.1, -1.0, 1.0, 1e-30)

Draw: TypeAlias = "Callable[[np.random.Generator], Any]"


@dataclass(frozen=True)
class Agreement:
    """One drawing on which an equation fired: inputs, and what both sides gave."""

    inputs: Sequence[Array]
    left: Array
    right: Array


class Drawing:
    """One module with the left side of an equation on random operands."""

    def __init__(
        self,
        rule: Rule,
        equation: Equation,
        random: np.random.Generator,
        attributes: Mapping[str, Draw],
    ):
        import numpy as np

        self.rule = rule
        self.random = random
        self.dtype = np.dtype(str(random.choice(DTYPES)))
        self.shape = SHAPES[int(random.integers(len(SHAPES)))]
        self.block = Block()
        self.inputs: list[Array] = []
        self.match = Match()
        self.conditions = frozenset(_conditions(equation.left))
        for family in rule.operators.families & _families(equation.left):
            choice = rule.operators[family]
            self.match.classes[family] = choice[int(random.integers(len(choice)))]
        used = _attribute_names(equation.left)
        labels = {apply.label for apply in applications(equation.left)}
        for name in sorted(names(equation.left) - labels):
            if name in used:
                self.match.attributes[name] = attributes[name](random)
            else:
                self.match.values[name] = self.operand(name)
        self.result = self.build(equation.left)

    def operand(self, name: str) -> SSAValue:
        """A constant for a capital, else an input."""
        import numpy as np

        if name[0].isupper():
            number = self.random.choice(CONSTANTS)
            return self.placed(ConstantOp.of(np.asarray(number).astype(self.dtype)))
        dtype = np.dtype(np.bool_) if name in self.conditions else self.dtype
        shape = tuple(1 if self.random.random() < 0.1 else size for size in self.shape)
        array = random_array(self.random, shape, dtype)
        self.inputs.append(array)
        type_: TensorType[Any] = TensorType(element_type(dtype), array.shape)
        return self.block.insert_arg(type_, len(self.block.args))

    def placed(self, op: Any) -> SSAValue:
        """Append an op."""
        self.block.add_op(op)
        return op.results[0]

    def build(self, side: Apply) -> SSAValue:
        """The left side as ops; literals are constants of the drawing's type, or booleans."""
        operands: list[SSAValue | None] = []
        for arg in side.args:
            operands.append(self.argument(arg))
        builder = Builder(self.match, self.rule.operators, {}, self.placed)
        attributes = {name: builder.attribute(a) for name, a in side.attributes.items()}
        made: GraphOp = builder.of(side.operator).of(*operands, **attributes)
        result = self.placed(made)
        if side.label is not None:
            self.match.values[side.label] = result
        return result

    def argument(self, side: Expression) -> SSAValue | None:
        """An operand of the left side."""
        import numpy as np

        if isinstance(side, Variable):
            return self.match.values[side.name]
        if isinstance(side, Number):
            is_bool = isinstance(side.value, bool)
            return self.placed(
                ConstantOp.of(np.asarray(side.value).astype(np.bool_ if is_bool else self.dtype))
            )
        return self.build(side) if isinstance(side, Apply) else None

    def module(self) -> ModuleOp:
        """A function of the inputs that returns the left side."""
        self.block.add_op(ReturnOp(self.result))
        type_ = FunctionType.from_lists(list(self.block.arg_types), [self.result.type])
        return ModuleOp([FuncOp("main", type_, Region(self.block))])


def _families(side: Apply) -> set[str]:
    return {apply.operator for apply in applications(side)}


def _attribute_names(side: Apply) -> set[str]:
    return {
        value.name
        for apply in applications(side)
        for value in apply.attributes.values()
        if isinstance(value, Variable)
    }


def _conditions(side: Apply) -> set[str]:
    """Names of operands that are booleans: first ones of `where`."""
    return {name for a in applications(side) if a.operator == "where" for name in names(a.args[0])}


def random_array(
    random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Array:
    """Numbers with zeros of both signs, infinities and NaN among those of floats."""
    import numpy as np

    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return random.integers(0 if dtype.kind == "u" else -9, 10, shape).astype(dtype)
    values = np.asarray(random.normal(size=shape) * 3)
    special = random.choice((0.0, -0.0, np.inf, -np.inf, np.nan), shape)
    return np.where(random.random(shape) < 0.2, special, values).astype(dtype)


def agreements(
    rule: Rule, equation: Equation, seed: int, count: int, attributes: Mapping[str, Draw]
) -> list[Agreement]:
    """Both sides of one equation on `count` drawings, those left out on which it does not apply.

    Args:
        rule: the rule of the equation; it is applied with this equation alone.
        equation: one of its equations.
        seed: of the drawings.
        count: how many drawings.
        attributes: how values of the left side's attribute names are drawn.
    """
    import numpy as np

    from ....reference.graph.run import run_module

    alone = Rule(rule.name, [equation], rule.operators, rule.functions)
    found: list[Agreement] = []
    for at in range(count):
        random = np.random.default_rng((seed, at))
        try:
            drawing = Drawing(alone, equation, random, attributes)
        except NncError:
            continue  # the operators do not take this element type
        module = drawing.module()
        (left,) = run_module(module, drawing.inputs)
        if not rewrite(module, [alone])[rule.name]:
            continue
        module.verify()
        (right,) = run_module(module, drawing.inputs)
        found.append(Agreement(drawing.inputs, left, right))
    return found
