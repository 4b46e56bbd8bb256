"""Whether a pass kept the meaning: the IR before and after it, run on the same inputs.

    report = check(before, after)          # two modules; `before` is a clone made ahead of the pass
    for outcome in report.outcomes: print(outcome)
    if report.mismatches: ...

Compared is what has the same name in both: `func.func`, `graph.kernel`, `te.kernel`, `loop.kernel`,
also across levels. Inputs are random but always the same, with edge values; integers are small, and
non-negative where they are used as indices. Results must be identical in their bits, unless a
reduction may have changed its order: then |difference| <= 2 n eps sum|terms|, which te kernels
know for each element (reference/body.py) and for other levels is estimated from the largest
element. Integers must be equal. Elements that memory nobody wrote has a part in may be anything.

What would take more than about two seconds is not run; the report says so, with the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import CallOp
from xdsl.ir import IRNode, Operation, SSAValue

from ..core.errors import NncError, UnsupportedError
from ..core.walk import walk
from ..dialects import loop, te
from .body import difference
from .loop import run_loop_kernel
from .reduction import machine_epsilon
from .runnable import Runnable, inputs_for, reduction_points, run, runnables
from .scalar import Array
from .steps import MAX_STEPS, NotChecked, OutsideDomain, WrongMeaning

EQUAL = "equal"
CLOSE = "equal within the error of its reductions"
DIFFERS = "differs"
NOT_CHECKED = "not checked"
UNCHANGED = "unchanged"
RUN = (EQUAL, CLOSE, DIFFERS)
FUNCTION_TOLERANCE = 1e-4
"""Of the largest element: what rounding may do over the operators of a whole function."""

OWN_ROUNDING = 32
"""Units in the last place of the largest element, where something else than the IR is run."""


@dataclass(frozen=True)
class Outcome:
    """What became of one function or kernel."""

    name: str
    status: str
    detail: str = ""
    steps: int = 0

    def __str__(self) -> str:
        return f"@{self.name}: {self.status}" + (f": {self.detail}" if self.detail else "")


@dataclass
class Report:
    """The outcome for everything that both modules have."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    @property
    def mismatches(self) -> list[Outcome]:
        """What has another meaning now."""
        return [outcome for outcome in self.outcomes if outcome.status == DIFFERS]

    @property
    def checked(self) -> list[Outcome]:
        """What was run and compared."""
        return [outcome for outcome in self.outcomes if outcome.status in RUN]


def check(
    before: ModuleOp,
    after: ModuleOp,
    *,
    seed: int = 0,
    tolerance: float = FUNCTION_TOLERANCE,
    limit: int = MAX_STEPS,
) -> Report:
    """Run what both modules have on the same inputs and compare.

    Args:
        before: verified, as it was.
        after: verified, after the pass.
        seed: of the inputs.
        tolerance: for floats of functions at graph level, relative to the largest element.
        limit: steps for each function or kernel.
    """
    old, new = runnables(before), runnables(after)
    report = Report()
    for name, runnable in old.items():
        if name not in new:
            continue
        if _is_unchanged(runnable.op, new[name].op):
            report.outcomes.append(Outcome(name, UNCHANGED))
            continue
        try:
            report.outcomes.append(_compare(name, runnable, new[name], seed, tolerance, limit))
        except NotChecked as error:
            report.outcomes.append(Outcome(name, NOT_CHECKED, error.message, error.steps))
    return report


def check_runs(
    name: str,
    right: Runnable,
    other: Callable[[Sequence[Array]], Sequence[Array]],
    *,
    seed: int = 0,
    tolerance: float = FUNCTION_TOLERANCE,
    limit: int = MAX_STEPS,
) -> Outcome:
    """Run a function or kernel, and something else that should give the same, on the same inputs.

    Args:
        name: for the outcome.
        right: what is run by the reference.
        other: takes arrays and gives arrays.
        seed: of the inputs.
        tolerance: for floats of functions at graph level, relative to the largest element.
        limit: steps.
    """

    def trial(seed: int, positive: bool) -> Outcome:
        random = np.random.default_rng(seed)
        inputs, expected, errors = _run_before(right, random, limit, positive)
        points = reduction_points(right.op)
        found = other(inputs)
        wanted = expected, [_own_rounding(want) for want in expected]
        if errors is not None:
            wanted = expected, [e + _own_rounding(x) for e, x in zip(errors, expected, strict=True)]
        elif not isinstance(right.op, loop.KernelOp) or points > 1:
            wanted = expected, None
        defined = partial(_defined, right, inputs, expected, limit)
        return _judge(name, right, wanted, found, points, tolerance, positive, defined)

    try:
        outcome = trial(seed, False)
        return trial(seed + 1, True) if outcome.status != DIFFERS and outcome.detail else outcome
    except NotChecked as error:
        return Outcome(name, NOT_CHECKED, error.message, error.steps)


def _own_rounding(want: Array) -> Array:
    """What other exponentials and logarithms may do, each good to a few units in the last place."""
    with np.errstate(all="ignore"):
        sizes = np.abs(want.astype(np.float64))
    largest = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))
    return np.full(want.shape, OWN_ROUNDING * machine_epsilon(want.dtype) * largest)


def _is_unchanged(old: Operation, new: Operation) -> bool:
    """Whether two ops are the same text, and run nothing outside of them."""
    if type(old) is not type(new) or any(isinstance(op, te.CallOp | CallOp) for op in walk(old)):
        return False
    try:
        context: dict[IRNode | SSAValue, IRNode | SSAValue] = {}
        if old.parent is not None and new.parent is not None:
            context[old.parent] = new.parent
        return old.is_structurally_equivalent(new, context)
    except RecursionError:  # xDSL's comparison, where regions are nested deeply
        return False


def _compare(
    name: str, old: Runnable, new: Runnable, seed: int, tolerance: float, limit: int
) -> Outcome:
    outcome = _trial(name, old, new, np.random.default_rng(seed), tolerance, limit, False)
    if outcome.status in (EQUAL, CLOSE) and outcome.detail:
        # NaN hides what stands before it: again, with what logarithms and roots accept
        positive = np.random.default_rng(seed + 1)
        return _trial(name, old, new, positive, tolerance, limit, True)
    return outcome


def _trial(
    name: str,
    old: Runnable,
    new: Runnable,
    random: np.random.Generator,
    tolerance: float,
    limit: int,
    positive: bool,
) -> Outcome:
    inputs, expected, errors = _run_before(old, random, limit, positive)
    try:
        found, _ = run(new, inputs, limit)
    except (NotChecked, WrongMeaning):
        raise
    except (NncError, IndexError, ValueError, TypeError) as error:
        reason = error.message if isinstance(error, NncError) else str(error)
        return Outcome(name, DIFFERS, f"cannot be run any more: {reason}")
    points = max(reduction_points(old.op), reduction_points(new.op))
    defined = partial(_defined, old, inputs, expected, limit)

    def judge(results: Sequence[Array]) -> Outcome:
        return _judge(name, old, (expected, errors), results, points, tolerance, positive, defined)

    outcome = judge(found)
    if outcome.status == DIFFERS:
        return outcome
    for operand, result, results in _in_one_buffer(old.op, new.op, inputs, limit):
        shared = judge(results)
        if shared.status == DIFFERS:
            how = f"with operand {operand} and result {result} in one buffer, as inout allows"
            return Outcome(name, DIFFERS, f"{how}: {shared.detail}")
    return outcome


def _in_one_buffer(
    old: Operation, new: Operation, inputs: Sequence[Array], limit: int
) -> Iterator[tuple[int, int, Sequence[Array]]]:
    """What a kernel gives where an operand lies in a result's memory, for each pair it allows now.

    Nests are left out: the reference runs them as whole arrays, which no order of loops tells from
    one another.
    """
    if not isinstance(new, loop.KernelOp) or any(isinstance(op, loop.StmtOp) for op in walk(new)):
        return
    known = old.inout_pairs if isinstance(old, loop.KernelOp) else []
    first = len(new.body.block.args) - new.num_outputs.value.data
    for operand, result in (pair for pair in new.inout_pairs if pair not in known):
        shared = run_loop_kernel(new, inputs, limit=limit, shared=[(operand, result)])
        yield operand, result - first, shared


def _judge(
    name: str,
    old: Runnable,
    wanted: tuple[list[Array], list[Array] | None],
    found: Sequence[Array],
    points: int,
    tolerance: float,
    positive: bool,
    defined: Callable[[], list[Array]],
) -> Outcome:
    expected, errors = wanted
    if len(found) != len(expected):
        return Outcome(name, DIFFERS, f"{len(expected)} results became {len(found)}")
    status = EQUAL
    for number, (want, got) in enumerate(zip(expected, found, strict=True)):
        allowed = _allowed(old, want, errors, number, points, tolerance)
        got = _same_sign(got, want)
        problem = _mismatch(number, want, got, allowed)
        if problem is not None and (got.shape, got.dtype) == (want.shape, want.dtype):
            problem = _mismatch(number, want, np.where(defined()[number], got, want), allowed)
        if problem is not None:
            return Outcome(name, DIFFERS, problem)
        if not _same_bits(want, got):
            status = CLOSE
    has_nan = not positive and any(bool((want != want).any()) for want in expected)
    return Outcome(name, status, "NaN" if has_nan else "")


def _run_before(
    old: Runnable, random: np.random.Generator, limit: int, positive: bool
) -> tuple[list[Array], list[Array], list[Array] | None]:
    """Inputs that the IR before accepts, and what it gives for them."""
    reason = ""
    for integers in ((-4, 5), (0, 3), (0, 1)):
        inputs = inputs_for(old, random, integers, positive)
        try:
            expected, errors = run(old, inputs, limit)
        except (NotChecked, WrongMeaning):
            raise
        except (OutsideDomain, IndexError) as error:
            reason = str(error)  # an index of a gather: try smaller ones
        except UnsupportedError as error:
            raise NotChecked(error.message) from error
        except NncError as error:
            raise NotChecked(f"cannot be run: {error.message}") from error
        else:
            return inputs, expected, errors
    raise NotChecked(f"no inputs were found that it accepts: {reason}")


def _defined(
    old: Runnable, inputs: Sequence[Array], expected: Sequence[Array], limit: int
) -> list[Array]:
    """Which elements of the results do not depend on memory that nobody has written."""
    again, _ = run(old, inputs, limit, other_poison=True)
    return [(x == y) | ((x != x) & (y != y)) for x, y in zip(expected, again, strict=True)]


def _allowed(
    old: Runnable,
    want: Array,
    errors: list[Array] | None,
    number: int,
    points: int,
    tolerance: float,
) -> Array:
    """How far each element of a result may be off."""
    eps = machine_epsilon(want.dtype)
    if not eps:
        return np.zeros((), np.float64)
    if errors is not None:
        return errors[number]
    with np.errstate(all="ignore"):
        sizes = np.abs(want.astype(np.float64))
    largest = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))
    if isinstance(old.op, loop.KernelOp):
        if points <= 1:
            return np.zeros((), np.float64)
        return np.asarray(2 * points * eps * max(largest, eps) * float(points) ** 0.5)
    return np.asarray(max(tolerance, 64 * eps) * largest)


def _same_sign(got: Array, want: Array) -> Array:
    """Te and loop are signless: their bits, in the other side's integer type."""
    both = got.dtype.kind in "iu" and want.dtype.kind in "iu"
    return got.view(want.dtype) if both and got.dtype.itemsize == want.dtype.itemsize else got


def _same_bits(want: Array, got: Array) -> bool:
    same = (want == got) | ((want != want) & (got != got))
    return bool(
        (same & (np.signbit(want) == np.signbit(got) if want.dtype.kind == "f" else True)).all()
    )


def _mismatch(number: int, want: Array, got: Array, allowed: Array) -> str | None:
    """What is wrong with a result, `None` if nothing is."""
    result = f"result {number}"
    if got.shape != want.shape:
        return f"{result} had shape {want.shape}, has {got.shape}"
    if got.dtype != want.dtype:
        return f"{result} had type {want.dtype}, has {got.dtype}"
    wrong = difference(want, got) > allowed
    if not bool(wrong.any()):
        return None
    first = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), want.shape))
    bound = float(np.broadcast_to(allowed, want.shape)[first])
    within = f", {bound:.3g} is allowed" if bound else ""
    return (
        f"{result} at {list(first)} was {want[first]}, is {got[first]}{within} "
        f"({int(wrong.sum())} of {wrong.size} elements differ)"
    )
