"""A rule: equations compiled to a pattern of the rewrite driver."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from xdsl.ir import Operation

from ....core.errors import ModelError, PassError
from ....core.explain import listener, why_not
from ....core.rewriting import Pattern, Rewriter
from ....dialects.graph.base import GraphOp
from ..constants import forward
from .building import Builder
from .definition import RESULT, Definition
from .matching import Match, Operators, match_operator
from .syntax import Apply, Computed, Equation, Expression, Reader, Variable, applications

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
            refusal = self.attempt(equation, op, rw)
            if rw.has_done_action:
                return
            if refusal is not None:
                refusals.append(f"{refusal} ({equation.text.strip()})")
        for refusal in refusals:
            why_not(op, refusal)

    def attempt(self, equation: Equation, op: GraphOp, rw: Rewriter) -> str | None:
        """Apply an equation, or say why not where all its operators are there."""
        is_asked = listener() is not None
        match = Match(differences=[] if is_asked else None)
        if not match_operator(equation.left, op, match, self.operators):
            return None
        if match.differences:
            # An op by itself differs from many patterns; several in a row were meant as this one.
            is_near = len(match.differences) == 1 and len(applications(equation.left)) > 1
            return match.differences[0] if is_near else None
        match.values[RESULT] = op.results[0]
        return self.refusal(equation, match) or self.replace(equation, op, match, rw)

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

    def replace(self, equation: Equation, op: GraphOp, match: Match, rw: Rewriter) -> str | None:
        """Put the right side in the place of `op`, or say why there is none."""
        right = equation.right
        if isinstance(right, Variable) and not right.is_constant:
            forward(rw, op, match.values[right.name])
            return None
        inner: list[Operation] = []
        builder = Builder(match, self.operators, self.functions, inner.append)
        try:
            builder.root(right, op.results[0])
            rw.replace(op, inner, origins=match.origins)
        except Exception as error:  # of inference, or of a debug counter that says no
            for each in reversed(inner):
                each.erase()  # they are no users of their operands
            if isinstance(error, ModelError):
                return f"it has no right side: {error.message}"
            raise
        return None


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
    if not equations:
        hint = "rule('ReluOfRelu', 'relu(relu(x)) -> relu(x)')"
        raise PassError("it has no equation", where=f"rule '{name}'", hint=hint)
    functions = {function.__name__: function for function in uses}
    found: dict[str, tuple[type[GraphOp], ...]] = {}
    read: list[Equation] = []
    for text in equations:
        definition = Definition(name, Reader(name, text).read(), operators, functions)
        found |= definition.classes
        definition.check()
        read.append(definition.equation)
    if commute:
        read = [replace(e, left=left) for e in read for left in orders(e.left, found)]
    families = frozenset(operators)
    return Rule(name, read, Operators(found, families), functions)


def orders(side: Expression, classes: Mapping[str, tuple[type[GraphOp], ...]]) -> list[Any]:
    """An expression with the operands of commutative operators in all orders."""
    if not isinstance(side, Apply):
        return [side]
    choices = list(product(*(orders(arg, classes) for arg in side.args)))
    if len(side.args) == 2 and all(cls.COMMUTATIVE for cls in classes[side.operator]):
        choices += [args[::-1] for args in choices]
    distinct = [args for at, args in enumerate(choices) if args not in choices[:at]]
    return [replace(side, args=args) for args in distinct]
