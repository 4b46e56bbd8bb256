"""What must hold of an equation that is to be a rule.

Its names mean something, and its operators take what they are given. Mistakes point into its text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from xdsl.irdl import OptionalDef, OptOperandDef, VariadicDef, VarOperandDef

from ....core.errors import UnsupportedError
from ....core.irtypes import as_attribute
from ....dialects.graph.base import GraphOp
from ....dialects.graph.registry import operator
from .syntax import (
    Apply,
    AttributeExpression,
    Computed,
    Equation,
    Reader,
    Variable,
    applications,
    names,
)

RESULT = "result"
"""What conditions call the result of the left side."""


class Definition:
    """One equation, as it is defined.

    Attributes:
        classes: what its operators' names stand for.
    """

    def __init__(
        self,
        rule: str,
        equation: Equation,
        families: Mapping[str, str],
        functions: Mapping[str, Callable[..., Any]],
    ):
        self.equation = equation
        self.functions = functions
        self.reader = Reader(rule, equation.text)
        self.classes: dict[str, tuple[type[GraphOp], ...]] = {}
        for apply in applications(equation.left, equation.right):
            listed = families.get(apply.operator, apply.operator)
            self.classes[apply.operator] = tuple(map(self._find, listed.split()))

    def check(self) -> None:
        """Raises: PassError: with the place in the text."""
        left, right = applications(self.equation.left), applications(self.equation.right)
        self._check_names({apply.operator for apply in left})
        for apply in left:
            for name, value in apply.attributes.items():
                if isinstance(value, Computed):
                    self._fail(name, "a function stands on the right side, or is a condition")
            self._check_operator(apply, takes_any=apply.takes_any)
        for apply in right:
            if apply.takes_any:
                self._fail("...", "what '...' leaves open on the right side is not said")
            self._check_operator(apply, takes_any=False)
        computed = [a for apply in right for a in apply.attributes.values()]
        for each in (*self.equation.conditions, *computed):
            if isinstance(each, Computed):
                self._check_function(each)

    def _check_names(self, families: set[str]) -> None:
        known = names(self.equation.left)
        if RESULT in known:
            self._fail(RESULT, f"'{RESULT}' is what the left side gives, and no other value")
        for unknown in sorted(names(self.equation.right) - known):
            self._fail_right(unknown, f"'{unknown}' is not on the left side")
        for apply in applications(self.equation.right):
            if len(self.classes[apply.operator]) > 1 and apply.operator not in families:
                self._fail_right(apply.operator, f"'{apply.operator}' is not on the left side")

    def _check_operator(self, apply: Apply, *, takes_any: bool) -> None:
        for cls in self.classes[apply.operator]:
            definition = cls.get_irdl_definition()
            if len(definition.results) != 1 or isinstance(definition.results[0][1], VariadicDef):
                self._fail(apply.operator, f"{cls.name} has several results: write a class")
            self._check_operands(apply, cls, takes_any)
            for name, value in apply.attributes.items():
                self._check_attribute(cls, name, value)

    def _check_operands(self, apply: Apply, cls: type[GraphOp], takes_any: bool) -> None:
        kinds = [kind for _, kind in cls.get_irdl_definition().operands]
        optional = (OptOperandDef, VarOperandDef)
        least = sum(not isinstance(kind, optional) for kind in kinds)
        most = len(kinds)
        if any(isinstance(k, VariadicDef) and not isinstance(k, OptionalDef) for k in kinds):
            most = max(len(apply.args), most)
        count = len(apply.args)
        if count > most or (count < least and not takes_any):
            expected = f"{least}" if least == most else f"{least} to {most}"
            word = "operand" if expected == "1" else "operands"
            self._fail(apply.operator, f"{cls.name} takes {expected} {word}, not {count}")

    def _check_attribute(self, cls: type[GraphOp], name: str, value: AttributeExpression) -> None:
        known = cls.get_irdl_definition().properties
        if name not in known:
            listed = ", ".join(each for each in known if not each.endswith("SegmentSizes"))
            self._fail(name, f"{cls.name} has no attribute '{name}'; it has {listed or 'none'}")
        if isinstance(value, Variable | Computed):
            return
        attribute = as_attribute(value)
        if not known[name].constr.verifies(attribute):
            hint = "; a float has a point" if isinstance(value, int) else ""
            self._fail(name, f"attribute '{name}' of {cls.name} cannot be {attribute}{hint}")

    def _check_function(self, computed: Computed) -> None:
        function = self.functions.get(computed.function)
        if function is None:
            self._fail_right(computed.function, f"no function '{computed.function}' in `uses`")
        known = {RESULT} | names(self.equation.left)
        for argument in computed.args:
            if argument not in known:
                self._fail_right(argument, f"'{argument}' is not on the left side")
        try:
            inspect.signature(function).bind(*computed.args)
        except TypeError as error:
            self._fail_right(computed.function, f"{computed.function}: {error}")

    def _find(self, name: str) -> type[GraphOp]:
        try:
            return operator(f"graph.{name}").cls
        except UnsupportedError as error:
            self.reader.fail(self._places(name)[0], error.message, error.hint)

    def _fail(self, word: str, message: str) -> NoReturn:
        self.reader.fail(self._places(word)[0], message)

    def _fail_right(self, word: str, message: str) -> NoReturn:
        self.reader.fail(self._places(word)[-1], message)

    def _places(self, word: str) -> list[int]:
        """Where a word begins in the text; the text itself for an operator that is a sign."""
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        return [found.start() for found in whole.finditer(self.equation.text)] or [0]
