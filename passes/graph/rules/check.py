"""Whether the two sides of a rule agree: by execution, on random inputs.

    check(rule("Mine", "relu(relu(x)) -> relu(x)"))

For each trial every name of the left side gets an input or a constant of some shape and element
type, the left side is built and rewritten by the rule, and both are run by the reference. They are
compared bit by bit: -0.0 is not 0.0; a NaN is a NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import VerifyException

from ....core.errors import NncError, PassError
from ....core.rewriting import rewrite
from .building import Array
from .drawing import Draw, Drawing, attribute_names
from .rule import Rule
from .syntax import Equation

LEAST = 3
"""How often an equation must have fired at least: otherwise nothing was checked."""


@dataclass(frozen=True)
class Trial:
    """One drawing on which an equation fired: the module before, inputs, what both sides gave."""

    module: ModuleOp
    inputs: Sequence[Array]
    left: Array
    right: Array

    def difference(self, ulps: float = 0) -> str | None:
        """Where the sides differ first, in words.

        Args:
            ulps: how many units in the last place floats may be apart, or as much as the least
                normal number; by default not a bit.
        """
        import numpy as np

        left, right = self.left, self.right
        if left.dtype != right.dtype:
            return f"the left side is {left.dtype}, the right side {right.dtype}"
        if left.shape != right.shape:
            return f"the left side has shape {left.shape}, the right side {right.shape}"
        wrong = np.argwhere(~_agree(left, right, ulps))
        if not len(wrong):
            return None
        at = tuple(int(i) for i in wrong[0])
        return f"at {list(at)} the left side is {left[at]!s}, the right side {right[at]!s}"


def _agree(left: Array, right: Array, ulps: float) -> Array:
    import numpy as np

    if left.dtype.kind in "iub":
        return np.asarray(left == right)
    bits = np.dtype(f"u{left.dtype.itemsize}")
    same = (left.view(bits) == right.view(bits)) | ((left != left) & (right != right))
    if not ulps:
        return np.asarray(same)
    exponents = np.finfo(left.dtype if left.dtype.kind == "f" else np.float32)
    eps = float(exponents.eps) if left.dtype.kind == "f" else 2.0**-7
    with np.errstate(all="ignore"):
        x, y = (np.asarray(side, np.float64) for side in (left, right))
        near = np.abs(x - y) <= np.maximum(ulps * eps * np.abs(x), float(exponents.tiny))
    near &= np.isfinite(x) & np.isfinite(y)  # a part of infinity would be as far as anything
    return np.asarray(same | (x == y) | near)


def trials(
    rule: Rule,
    equation: Equation,
    *,
    seed: int = 0,
    count: int = 200,
    draws: Mapping[str, Draw] | None = None,
) -> Iterator[Trial]:
    """Both sides of one equation on `count` drawings, those left out on which it does not apply.

    Args:
        rule: the rule of the equation; it is applied with this equation alone.
        equation: one of its equations.
        seed: of the drawings.
        count: how many drawings.
        draws: how values of the left side's names are drawn: attributes must, operands may be.

    Raises: PassError: the right side is no valid IR, cannot be run, or matches itself; or nothing
        says how an attribute is drawn.
    """
    import numpy as np

    for name in sorted(attribute_names(equation.left) - set(draws or {})):
        message = f"nothing says what the attribute '{name}' can be\n  {equation.text.strip()}"
        hint = f"draws={{'{name}': lambda random: ...}}"
        raise PassError(message, where=_place(rule), hint=hint)
    alone = Rule(rule.name, [equation], rule.operators, rule.functions)
    for at in range(count):
        random = np.random.default_rng((seed, at))
        try:
            drawing = Drawing(alone, equation, random, draws or {})
            module = drawing.module()
            (left,) = _run(module, drawing.inputs)
        except (NncError, ValueError):
            continue  # the operators do not take these operands; NumPy sees it, or types do
        before = module.clone()
        try:
            if not rewrite(module, [alone])[rule.name]:
                continue
            module.verify()
            (right,) = _run(module, drawing.inputs)
        except (NncError, ValueError, VerifyException) as error:
            raise _failure(rule, equation, before, f"the right side is wrong: {error}") from None
        yield Trial(before, drawing.inputs, left, right)


def _run(module: ModuleOp, inputs: Sequence[Array]) -> list[Array]:
    from ....reference.graph.run import run_module

    return run_module(module, inputs)


def check(
    rule: Rule,
    *,
    seed: int = 0,
    count: int = 200,
    draws: Mapping[str, Draw] | None = None,
    ulps: float = 0,
) -> None:
    """Run both sides of each equation of a rule.

    Args:
        rule: what to check.
        seed: of the drawings.
        count: how many drawings an equation has.
        draws: how values of names are drawn: those of attributes must, those of operands may be.
        ulps: how far floats may be apart, in units in the last place.

    Raises: PassError: the sides differ, with the case; or an equation hardly ever fires.
    """
    for equation in rule.equations:
        fired = 0
        for trial in trials(rule, equation, seed=seed, count=count, draws=draws):
            fired += 1
            if (difference := trial.difference(ulps)) is not None:
                case = "".join(f"\n  input {_shown(array)}" for array in trial.inputs)
                raise _failure(rule, equation, trial.module, f"{difference}{case}")
        if fired < LEAST:
            message = f"it fired on {fired} of {count} drawings: nothing was checked"
            hint = "say how its operands are drawn: draws={'x': lambda random: ...}"
            raise PassError(f"{message}\n  {equation.text}", where=_place(rule), hint=hint)


def _shown(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)} = {array.tolist()}"


def _place(rule: Rule) -> str:
    return f"rule '{rule.name}'"


def _failure(rule: Rule, equation: Equation, module: ModuleOp, message: str) -> PassError:
    from ....textir import print_module

    text = print_module(module).rstrip().replace("\n", "\n  ")
    return PassError(f"{message}\n  {equation.text.strip()}\n  {text}", where=_place(rule))
