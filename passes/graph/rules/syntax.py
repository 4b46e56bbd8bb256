"""The notation of rules: two Python expressions, an arrow, and conditions.

    left -> right if condition(x) and not other(x, result)

| in both sides | means |
|---|---|
| `relu(x)`, `transpose(x, perm=p)` | an operator of graph: operands by position, attributes |
| `x + y`, `-  *  /  **  @`, `-x` | add, sub, mul, div, pow, matmul, neg |
| `x == y`, `<  <=  >  >=` | equal, less, less_or_equal, greater, greater_or_equal |
| `not c`, `a and b`, `a or b` | the operators of these names, which Python keeps for itself |
| `x` | a value; the same name is the same value |
| `C`, a name with a capital | a constant; on the right its numbers |
| `2`, `0.5`, `-inf`, `True` | a constant of this number throughout; 0.0 and -0.0 are different |
| `none` | an operand that is absent |
| `f(x)` with `f="abs relu"` | any of these operators, on both sides the same one |

On the left, an attribute that is not named has its default value; `cast(x, ..., to=t)` takes any
(and any optional operands), and `(y := relu(x))` names a result. An attribute is a number, a list,
a string, an element type (`to=f16`) or a name. On the right, what consists of constants alone is
computed once, and an attribute may be a function of the rule's `uses`.
Conditions are such functions too; they take names of the left side and `result`, and their
docstring says what must hold.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import inf, nan
from typing import NoReturn

from xdsl.ir import Attribute

from ....core.dtypes import BY_TEXT
from ....core.errors import PassError

OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "pow",
    ast.MatMult: "matmul",
}
COMPARISONS: dict[type[ast.AST], str] = {
    ast.Eq: "equal",
    ast.Lt: "less",
    ast.LtE: "less_or_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_or_equal",
}
NUMBERS = {"inf": inf, "nan": nan}


@dataclass(frozen=True)
class Variable:
    """A value, or a constant where the name begins with a capital."""

    name: str

    @property
    def is_constant(self) -> bool:
        """Whether it stands for a constant."""
        return self.name[0].isupper()


@dataclass(frozen=True)
class Number:
    """A constant of one number."""

    value: float | bool


@dataclass(frozen=True)
class Absent:
    """An operand that is not there."""


@dataclass(frozen=True)
class Computed:
    """A function of names: a condition, or an attribute on the right side."""

    function: str
    args: tuple[str, ...]
    negated: bool = False

    def __str__(self) -> str:
        text = f"{self.function}({', '.join(self.args)})"
        return f"not {text}" if self.negated else text


@dataclass(frozen=True)
class Apply:
    """An operator: operands by position, attributes by name, and what its result is called."""

    operator: str
    args: tuple[Expression, ...]
    attributes: Mapping[str, AttributeExpression] = field(
        default_factory=dict[str, "AttributeExpression"]
    )
    takes_any: bool = False
    label: str | None = None


Expression = Variable | Number | Absent | Apply
AttributeExpression = Variable | Computed | Attribute | int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Equation:
    """What is found, what stands for it, and when."""

    text: str
    left: Apply
    right: Expression
    conditions: tuple[Computed, ...]


def applications(*sides: Expression) -> list[Apply]:
    """All operators of an equation."""
    found: list[Apply] = []
    for side in sides:
        if isinstance(side, Apply):
            found += [side, *applications(*side.args)]
    return found


def names(side: Expression) -> set[str]:
    """Names of values, constants and attributes."""
    match side:
        case Variable():
            return {side.name}
        case Number() | Absent():
            return set()
        case Apply():
            found = {a.name for a in side.attributes.values() if isinstance(a, Variable)}
            found |= {side.label} if side.label else set()
            return found.union(*(names(arg) for arg in side.args))


class Reader:
    """Reads one equation of a rule; errors point into its text."""

    def __init__(self, rule: str, text: str):
        self.rule = rule
        self.text = text
        self.start = 0

    def read(self) -> Equation:
        """The equation.

        Raises: PassError: with the text and a caret.
        """
        left, arrow, rest = self.text.partition("->")
        if not arrow:
            self.fail(len(self.text), "expected 'left -> right'")
        right, has_conditions, conditions = rest.partition(" if ")
        pattern = self.expression(self.parse(left, 0))
        if not isinstance(pattern, Apply):
            self.fail(0, "the left side is an operator")
        at = len(left) + len(arrow)
        replacement = self.expression(self.parse(right, at))
        found: tuple[Computed, ...] = ()
        if has_conditions:
            found = self.conditions(self.parse(conditions, at + len(right) + len(has_conditions)))
        return Equation(self.text, pattern, replacement, found)

    def fail(self, column: int, message: str, hint: str | None = None) -> NoReturn:
        """Raise with the text and a caret under `column`."""
        raise PassError(
            f"{message}\n  {self.text}\n  {' ' * column}^",
            where=f"rule '{self.rule}'",
            hint=hint or "docs/write-rule.md shows the notation",
        )

    def parse(self, text: str, start: int) -> ast.expr:
        """A Python expression that begins at column `start`."""
        self.start = start + len(text) - len(text.lstrip())
        try:
            return ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            self.fail(self.start + (error.offset or 1) - 1, f"no expression: {error.msg}")

    def at(self, node: ast.AST) -> int:
        """The column of a node in the equation."""
        return self.start + int(getattr(node, "col_offset", 0))

    def expression(self, node: ast.expr) -> Expression:
        """An operand."""
        number = literal(node)
        if number is not None:
            return Number(number)
        match node:
            case ast.Name(id="none"):
                return Absent()
            case ast.Name(id=name):
                return Variable(name)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                inner = self.expression(value)
                if not isinstance(inner, Apply):
                    self.fail(self.at(value), "only the result of an operator can be named")
                return Apply(
                    inner.operator, inner.args, inner.attributes, inner.takes_any, label=name
                )
            case ast.Call(func=ast.Name(id=name)):
                return self.call(name, node)
            case _:
                return self.operation(node)

    def operation(self, node: ast.expr) -> Expression:
        """What Python has a sign or a word for."""
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                args = (self.expression(left), self.expression(right))
                return Apply(OPERATORS[type(op)], args)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Apply("neg", (self.expression(operand),))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARISONS:
                args = (self.expression(left), self.expression(right))
                return Apply(COMPARISONS[type(op)], args)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Apply("not", (self.expression(operand),))
            case ast.BoolOp(op=op, values=values):
                name = "and" if isinstance(op, ast.And) else "or"
                first, *rest = (self.expression(value) for value in values)
                return reduce(lambda left, right: Apply(name, (left, right)), rest, first)
            case _:
                pass
        return self.fail(self.at(node), "expected an operator, a name or a number")

    def call(self, name: str, node: ast.Call) -> Apply:
        """`f(x, y, ..., a=1)`."""
        args = [arg for arg in node.args if not is_ellipsis(arg)]
        attributes: dict[str, AttributeExpression] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                self.fail(self.at(keyword), "attributes have names")
            attributes[keyword.arg] = self.attribute(keyword.value)
        operands = tuple(self.expression(arg) for arg in args)
        return Apply(name, operands, attributes, takes_any=len(args) < len(node.args))

    def attribute(self, node: ast.expr) -> AttributeExpression:
        """The value of an attribute."""
        match node:
            case ast.Name(id=name):
                return BY_TEXT.get(name, Variable(name))
            case ast.Constant(value=int() | float() | str() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.List(elts=elements):
                return tuple(self.integer(element) for element in elements)
            case ast.Call():
                return self.computed(node)
            case _:
                pass
        return self.fail(self.at(node), "expected a name, a number, a list or a function")

    def integer(self, node: ast.expr) -> int:
        """An integer in a list."""
        number = literal(node)
        if not isinstance(number, int):
            self.fail(self.at(node), "expected an integer")
        return number

    def conditions(self, node: ast.expr) -> tuple[Computed, ...]:
        """What stands behind `if`."""
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
            return tuple(c for value in node.values for c in self.conditions(value))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.computed(node.operand)
            return (Computed(inner.function, inner.args, negated=not inner.negated),)
        return (self.computed(node),)

    def computed(self, node: ast.expr) -> Computed:
        """A function of names."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            self.fail(self.at(node), "expected a function of names")
        names: list[str] = []
        for arg in node.args:
            if not isinstance(arg, ast.Name):
                self.fail(self.at(arg), "a function takes names of the left side, or 'result'")
            names.append(arg.id)
        return Computed(node.func.id, tuple(names))


def literal(node: ast.expr) -> float | bool | None:
    """A number, with its sign."""
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return value
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = literal(operand)
            return None if inner is None or isinstance(inner, bool) else -inner
        case _:
            return None


def is_ellipsis(node: ast.expr) -> bool:
    """`...`."""
    return isinstance(node, ast.Constant) and node.value is ...
