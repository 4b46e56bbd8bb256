"""Random operands and attributes for the left side of an equation, and the module that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from xdsl.dialects.builtin import DYNAMIC_INDEX, FunctionType, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.rewriter import Rewriter

from ....core.dtypes import element_type, numpy_dtype
from ....core.irtypes import as_attribute
from ....dialects.graph.base import ConstantOp, GraphOp
from ....dialects.graph.types import dims, element
from .building import Array, Builder
from .matching import Match
from .rule import Rule
from .syntax import Apply, Equation, Expression, Number, Variable, applications, names

if TYPE_CHECKING:
    import numpy as np

DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "float32", "float64"),
    *("int32", "int64", "int8", "int16", "uint8", "uint32", "bool"),
)
SHAPES: tuple[tuple[int, ...], ...] = (
    *((), (1,), (3,), (2, 3), (3, 3), (1, 3), (2, 1, 4), (2, 2, 2)),
    *((0, 3), (3, 0)),
)
"""Equal extents beside each other, so that a wrong axis is no wrong shape; and empty ones."""
SCALES = (2.0, 0.5, -4.0, 3.0, 0.1, -1.0, 1.0, 1e-30, 6.0)
"""What a constant is where it is no special number."""

Draw: TypeAlias = "Callable[[np.random.Generator], Any]"
"""Gives an attribute or what stands for one, or an array for an operand."""


class Drawing:
    """One module with the left side of an equation on random operands.

    Attributes:
        inputs: arrays for the function's arguments.
        openness: what part of the extents types do not say.
    """

    def __init__(
        self,
        rule: Rule,
        equation: Equation,
        random: np.random.Generator,
        draws: Mapping[str, Draw],
    ):
        self.rule = rule
        self.random = random
        self.draws = draws
        self.dtype = numpy_dtype(element_type(str(random.choice(DTYPES))))
        self.shape = SHAPES[int(random.integers(len(SHAPES)))]
        self.openness = random.choice((0.0, 0.5, 1.0), p=(0.8, 0.1, 0.1))
        self.block = Block()
        self.inputs: list[Array] = []
        self.match = Match()
        self.conditions = frozenset(_conditions(equation.left))
        sides = applications(equation.left)
        for family in sorted(rule.operators.families & {apply.operator for apply in sides}):
            choice = rule.operators[family]
            self.match.classes[family] = choice[int(random.integers(len(choice)))]
        labels = {apply.label for apply in sides}
        attributes = attribute_names(equation.left)
        for name in sorted(names(equation.left) - labels):
            if name in attributes:
                self.match.attributes[name] = _attribute(draws[name](random))
            else:
                self.match.values[name] = self.operand(name)
        self.result = self.build(equation.left)

    def operand(self, name: str) -> SSAValue:
        """A constant for a capital, else an input."""
        import numpy as np

        if name in self.draws:
            array = np.asarray(self.draws[name](self.random))
        elif name[0].isupper():
            array = self.constant()
        else:
            dtype = np.dtype(np.bool_) if name in self.conditions else self.dtype
            array = random_array(self.random, self.operand_shape(), dtype)
        if name[0].isupper():
            return self.placed(ConstantOp.of(array))
        self.inputs.append(array)
        return self.block.insert_arg(self.operand_type(array), len(self.block.args))

    def operand_shape(self) -> tuple[int, ...]:
        """The drawing's shape, or one that broadcasts to it."""
        if self.random.random() < 0.6:
            return self.shape
        first = int(self.random.integers(len(self.shape) + 1))
        return tuple(1 if self.random.random() < 0.4 else size for size in self.shape[first:])

    def operand_type(self, array: Array) -> Attribute:
        """The array's type, or less than that."""
        return self.loosened(element_type(array.dtype), array.shape)

    def loosened(self, element_type: Attribute, extents: Sequence[int]) -> Attribute:
        """A tensor type that does not say extents which the drawing leaves open."""
        known = [DYNAMIC_INDEX if self.random.random() < self.openness else n for n in extents]
        type_: TensorType[Any] = TensorType(element_type, known)
        return type_

    def constant(self) -> Array:
        """One number, one number throughout, or any numbers."""
        import numpy as np

        kind = self.random.random()
        shape = () if kind < 0.5 else self.operand_shape()
        if kind > 0.7:
            return random_array(self.random, shape, self.dtype)
        if self.random.random() < 0.3:
            number = random_array(self.random, (), self.dtype)
        else:
            number = np.asarray(self.random.choice(SCALES)).astype(self.dtype)
        return np.full(shape, number)

    def placed(self, op: Operation) -> SSAValue:
        """Append an op."""
        self.block.add_op(op)
        return op.results[0]

    def build(self, side: Apply) -> SSAValue:
        """The left side as ops; literals are constants of the drawing's type, or booleans.

        Raises: NncError: the operators do not take these operands.
        """
        operands = [self.argument(arg) for arg in side.args]
        builder = Builder(self.match, self.rule.operators, {}, self.placed)
        attributes = {name: builder.attribute(a) for name, a in side.attributes.items()}
        made: GraphOp = builder.of(side.operator).of(*operands, **attributes)
        result = self.placed(made)
        extents, of = dims(result.type), element(result.type)
        if extents is not None and of is not None:
            known = [n if isinstance(n, int) else DYNAMIC_INDEX for n in extents]
            result = Rewriter.replace_value_with_new_type(result, self.loosened(of, known))
        if side.label is not None:
            self.match.values[side.label] = result
        return result

    def argument(self, side: Expression) -> SSAValue | None:
        """An operand of the left side."""
        import numpy as np

        if isinstance(side, Variable):
            return self.match.values[side.name]
        if isinstance(side, Number):
            dtype = np.dtype(np.bool_) if isinstance(side.value, bool) else self.dtype
            shape = () if self.random.random() < 0.7 else self.operand_shape()
            return self.placed(ConstantOp.of(np.full(shape, side.value).astype(dtype)))
        return self.build(side) if isinstance(side, Apply) else None

    def module(self) -> ModuleOp:
        """A function of the inputs that returns the left side."""
        self.block.add_op(ReturnOp(self.result))
        type_ = FunctionType.from_lists(list(self.block.arg_types), [self.result.type])
        return ModuleOp([FuncOp("main", type_, Region(self.block))])


def _attribute(drawn: Any) -> Attribute:
    plain = getattr(drawn, "tolist", None)  # NumPy's numbers and arrays are none of Python's
    return as_attribute(drawn if plain is None else plain())


def attribute_names(side: Apply) -> set[str]:
    """Names of attributes, which must be drawn by the caller's functions."""
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
    """Numbers, many of them equal, and what is special of the type among them.

    Of floats that is zeros of both signs, infinities, NaN, the least normal and subnormal number,
    the greatest, and what is rounded otherwise in two steps than in one; of integers the least and
    the greatest.
    """
    import numpy as np

    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    kind = random.random(shape)
    with np.errstate(all="ignore"):
        small = random.integers(0 if dtype.kind == "u" else -5, 6, shape)
        special = random.choice(_special(dtype), shape)
        if dtype.kind in "iu":
            return np.where(kind < 0.2, special, small.astype(dtype)).astype(dtype)
        values = np.where(kind < 0.6, small / 2, random.normal(size=shape) * 3).astype(dtype)
        return np.where(kind < 0.3, special, values).astype(dtype)


def _special(dtype: np.dtype[Any]) -> Array:
    import numpy as np

    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return np.array([bounds.min, bounds.max], dtype)
    info = np.finfo(dtype if dtype.kind == "f" else np.float32)
    sized = [info.tiny, info.smallest_subnormal, info.max]
    if dtype.kind != "f":  # bfloat16 has the exponents of f32
        sized = [info.tiny, info.tiny / 64, info.max / 2]
    numbers = [0.0, np.inf, *map(float, sized), *_beside_ties(int(info.nmant))]
    return np.array([*numbers, *(-number for number in numbers), np.nan]).astype(dtype)


def _beside_ties(bits: int) -> list[float]:
    """Numbers of so many bits, a little beyond the middle of two neighbours of a narrower type."""
    return [1 + 2.0 ** -(few + 1) + 2.0 ** -(bits - 3) for few in (23, 10, 7) if few + 4 < bits]
