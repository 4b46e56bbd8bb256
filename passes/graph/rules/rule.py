"""A rule: equations compiled to a pattern of the rewrite driver."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from xdsl.ir import Operation

from ....core.errors import UnsupportedError
from ....core.explain import why_not
from ....core.rewriting import Pattern, Rewriter
from ....dialects.graph.base import GraphOp
from ....dialects.graph.registry import operator
from ..constants import forward, typed_like
from .building import Builder
from .matching import Match, Operators, match_operator
from .syntax import Absent, Apply, Computed, Equation, Expression, Number, Reader, Variable

Function = Callable[..., Any]


class Rule(Pattern[Operation]):
    """One name, and the equations that are tried in order.

    Attributes:
        equations: as they were read.
        operators: the classes that each operator's name stands for.
        functions: conditions and computed attributes, by name.
    """

    def __init__(
        self,
        name: str,
        equations: Sequence[Equation],
        operators: Operators,
        functions: Mapping[str, Function],
    ):
        self.rule_name = name
        self.equations = equations
        self.operators = operators
        self.functions = functions
        roots = [cls for e in equations for cls in operators[e.left.operator]]
        self.ops = tuple(dict.fromkeys(roots))

    @property
    def name(self) -> str:
        return self.rule_name

    def rewrite(self, op: Operation, rw: Rewriter) -> None:
        assert isinstance(op, GraphOp)
        refusals: list[str] = []
        for equation in self.equations:
            match = self.match(equation, op)
            refusal = None if match is None else self.refusal(equation, match)
            if refusal is not None:
                refusals.append(f"{refusal} ({equation.text.strip()})")
            elif match is not None:
                self.replace(equation, op, match, rw)
                if rw.has_done_action:
                    return
        for refusal in refusals:
            why_not(op, refusal)

    def match(self, equation: Equation, op: GraphOp) -> Match | None:
        """What the names of the left side are, if `op` is that."""
        match = Match()
        if not match_operator(equation.left, op, match, self.operators):
            return None
        match.values["result"] = op.results[0]
        return match

    def refusal(self, equation: Equation, match: Match) -> str | None:
        """The first condition that does not hold."""
        for condition in equation.conditions:
            if not self.holds(condition, match):
                what = inspect.getdoc(self.functions[condition.function]) or str(condition)
                return f"not so: {what}" if condition.negated else what
        return None

    def holds(self, condition: Computed, match: Match) -> bool:
        """Whether a condition holds."""
        result = self.functions[condition.function](*(match.get(n) for n in condition.args))
        return bool(result) is not condition.negated

    def replace(self, equation: Equation, op: GraphOp, match: Match, rw: Rewriter) -> None:
        """Put the right side in the place of `op`."""
        right = equation.right
        if isinstance(right, Variable) and not right.is_constant:
            forward(rw, op, match.values[right.name])
            return
        with rw.located(op, *match.origins):
            builder = Builder(match, self.operators, self.functions, rw.insert)
            made = builder.root(right, op.results[0])
        if isinstance(made, GraphOp):
            typed_like(made, op)
        rw.replace(op, [made], origins=match.origins)


def rule(
    name: str,
    *equations: str,
    uses: Sequence[Function] = (),
    commute: bool = False,
    **operators: str,
) -> Rule:
    """A rule of these equations.

    Args:
        name: how statistics and notes call it.
        equations: `left -> right if conditions`; syntax.py has the notation.
        uses: functions that conditions and attributes name.
        commute: operands of commutative operators on the left may stand in either order.
        operators: names that stand for several operators: `f="abs relu"`.

    Raises: PassError: an equation that means nothing, with the place in its text.
    """
    functions = {function.__name__: function for function in uses}
    read = [Reader(name, text).read() for text in equations]
    found: dict[str, tuple[type[GraphOp], ...]] = {}
    for equation in read:
        for apply in applications(equation.left, equation.right):
            if apply.operator not in found:
                names = operators.get(apply.operator, apply.operator)
                find = partial(_find, name, equation)
                found[apply.operator] = tuple(find(each) for each in names.split())
        _check(name, equation, functions)
    if commute:
        read = [replace(e, left=left) for e in read for left in orders(e.left, found)]
    families = frozenset(operators)
    return Rule(name, read, Operators(found, families), functions)


def applications(*sides: Expression) -> list[Apply]:
    """All operators of an equation."""
    found: list[Apply] = []
    for side in sides:
        if isinstance(side, Apply):
            found += [side, *applications(*side.args)]
    return found


def orders(side: Expression, classes: Mapping[str, tuple[type[GraphOp], ...]]) -> list[Any]:
    """An expression with the operands of commutative operators in all orders."""
    if not isinstance(side, Apply):
        return [side]
    choices = list(product(*(orders(arg, classes) for arg in side.args)))
    if len(side.args) == 2 and all(cls.COMMUTATIVE for cls in classes[side.operator]):
        choices += [args[::-1] for args in choices]
    distinct = [args for at, args in enumerate(choices) if args not in choices[:at]]
    return [replace(side, args=args) for args in distinct]


def _find(rule_name: str, equation: Equation, name: str) -> type[GraphOp]:
    try:
        return operator(f"graph.{name}").cls
    except UnsupportedError as error:
        Reader(rule_name, equation.text).fail(max(equation.text.find(name), 0), error.message)


def _check(name: str, equation: Equation, functions: Mapping[str, Function]) -> None:
    """What the right side and the conditions name is there."""
    reader = Reader(name, equation.text)
    known = {"result"} | names(equation.left)
    computed = [*equation.conditions]
    for apply in applications(equation.right):
        computed += [a for a in apply.attributes.values() if isinstance(a, Computed)]
    for each in computed:
        if each.function not in functions:
            reader.fail(
                equation.text.rfind(each.function), f"no function '{each.function}' in `uses`"
            )
        for argument in each.args:
            if argument not in known:
                reader.fail(equation.text.rfind(argument), f"'{argument}' is not on the left side")
    for argument in names(equation.right) - known:
        reader.fail(equation.text.rfind(argument), f"'{argument}' is not on the left side")


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
