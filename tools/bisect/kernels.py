"""Below the graph: each kernel on the values that the graph gives it, then one kernel by steps.

The kernels of the last state run as machine code, one after the other, each on right inputs. The
first whose results are wrong is taken through the steps: te by its interpreter, nests and tiles by
theirs. Where that would take too long, the nest is lowered as it stands and run as machine code: if
that is right, the nest is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.traits import SymbolTable

from ...compiler.isolate import isolated
from ...compiler.kernels import lower_kernel
from ...compiler.native import NativeKernel
from ...compiler.options import Options
from ...compiler.timing import Timings
from ...core.errors import NncError
from ...core.irtypes import tensor_shape
from ...core.locations import describe
from ...dialects import loop, te
from ...passes.graph.bind_inputs import main_function
from ...reference.graph.run import as_callee_reads, as_caller_reads
from ...reference.steps import NotChecked
from ...runtime.arrays import Array
from ...textir import print_module
from .steps import FAILURES, Pipeline, describe_error
from .trace import Trace, run_callee, run_wanted
from .values import Difference, Tolerance, Wanted, compare

Runner = Callable[[Operation, Sequence[Array]], Sequence[Array]]


@dataclass(frozen=True)
class Case:
    """One call of a kernel: its number among main's calls, right inputs and right results."""

    number: int
    call: te.CallOp
    wanted_inputs: list[Wanted]
    results: list[Wanted]

    @property
    def inputs(self) -> list[Array]:
        """Right inputs, as the caller has them."""
        return [each.array for each in self.wanted_inputs]

    @property
    def symbol(self) -> str:
        """The kernel's name."""
        return self.call.callee.string_value()


def calls_of(module: ModuleOp) -> list[te.CallOp]:
    """Main's calls, in order."""
    ops = main_function(module).body.block.ops
    return [op for op in ops if isinstance(op, te.CallOp)]


def callee_of(call: te.CallOp) -> te.KernelOp | loop.KernelOp:
    """The kernel that a call runs.

    Raises: NncError: there is none.
    """
    found = SymbolTable.lookup_symbol(call, call.callee)
    if not isinstance(found, te.KernelOp | loop.KernelOp):
        raise NncError(f"there is no kernel {call.callee}", where=describe(call))
    return found


def cases_of(module: ModuleOp, right: Trace) -> list[Case]:
    """Every call of main, with what the trace of an earlier state says it takes and gives.

    A call's results are those of the op, fused kernel or call that it was: the same location, the
    same shape, the same order.
    """
    main, block = main_function(module), right.ops[-1].parent
    assert block is not None
    known: defaultdict[object, list[Wanted]] = defaultdict(list)
    for op in [op for op in right.ops if op.parent is block]:
        for number, value in enumerate(op.results):
            known[_key(op, number)].append(right.values[value])
    inputs = [right.values[argument] for argument in block.args]
    values: dict[SSAValue, Wanted] = dict(zip(main.body.block.args, inputs, strict=True))
    cases: list[Case] = []
    for op in main.body.block.ops:
        operands = [values[operand] for operand in op.operands]
        if not op.results:
            break
        results = _known_results(op, known)
        if not isinstance(op, te.CallOp):
            results = run_wanted(op, operands, Trace())
        elif None not in results:
            results = [each for each in results if each is not None]
            cases.append(Case(len(cases), op, operands, results))
        else:
            raise NncError("what this call computes is not known", where=describe(op))
        values.update(zip(op.results, results, strict=True))
    return cases


def _key(op: Operation, number: int) -> object:
    return str(op.location), number, tensor_shape(op.results[number].type)


def _known_results(op: Operation, known: Mapping[object, list[Wanted]]) -> Sequence[Wanted | None]:
    """The next values of an op's locations and shapes."""
    waiting = [known.get(_key(op, number)) for number in range(len(op.results))]
    return [values.pop(0) if values else None for values in waiting]


class Natively:
    """Runs kernels as machine code, each made once, in a child process."""

    def __init__(self, options: Options):
        self.options = options
        self._made: dict[Operation, NativeKernel] = {}

    def __call__(self, kernel: Operation, inputs: Sequence[Array]) -> Sequence[Array]:
        """A te kernel is lowered without a schedule; nests are lowered as they stand."""
        native = self.prepare(kernel)
        return isolated(lambda: native.guarded(*inputs))

    def prepare(self, kernel: Operation) -> NativeKernel:
        """The code of a kernel."""
        assert isinstance(kernel, te.KernelOp | loop.KernelOp)
        if kernel not in self._made:
            self._made[kernel] = NativeKernel(self._tiles(kernel), self.options.target)
        return self._made[kernel]

    def _tiles(self, kernel: te.KernelOp | loop.KernelOp) -> loop.KernelOp:
        if isinstance(kernel, te.KernelOp):
            from ...lowering.te_to_loop.kernel import KernelConverter

            kernel = KernelConverter(kernel).convert()
        symbol = kernel.sym_name.data
        return lower_kernel(kernel, None, symbol, self.options, Timings())[0]


def check_case(case: Case, call: te.CallOp, run: Runner, tolerance: Tolerance) -> Difference:
    """The worst result of a kernel on right inputs.

    Raises: NotChecked: it would take too long.
    """
    kernel = callee_of(call)
    inputs: Sequence[Array] = case.inputs
    if isinstance(kernel, loop.KernelOp):
        inputs = as_callee_reads(kernel, call, inputs)
    try:
        got = run(kernel, inputs)
    except NotChecked:
        raise
    except FAILURES as error:
        return Difference(reason=f"the kernel cannot be run: {describe_error(error)}")
    if isinstance(kernel, loop.KernelOp):
        got = as_caller_reads(kernel, call, got)
    found = [
        compare(wanted, array, tolerance) for wanted, array in zip(case.results, got, strict=True)
    ]
    return max(found, key=lambda one: (one.is_wrong, one.absolute))


def _check_code(
    case: Case, call: te.CallOp, natively: Natively, tolerance: Tolerance
) -> tuple[Difference, bool]:
    """How far the code of a kernel as it stands is off, and whether there is any.

    Not every nest can be made code of before it is scheduled.
    """
    try:
        natively.prepare(callee_of(call))
    except FAILURES as error:
        return Difference(reason=f"the kernel cannot be run: {describe_error(error)}"), False
    return check_case(case, call, natively, tolerance), True


@dataclass(frozen=True)
class Suspects:
    """The steps that may have broken a kernel.

    Attributes:
        steps: their numbers; none: the code made after them is wrong.
        certain: whether interpreters said so. Else the kernel takes too long for them, its code
            is right before these steps and wrong after them, and making the code may be to blame.
        difference: of the first state that is wrong.
    """

    steps: list[int]
    certain: bool
    difference: Difference


def suspects(
    case: Case, pipeline: Pipeline, first: int, natively: Natively, tolerance: Tolerance
) -> Suspects:
    """The steps after state `first` that may have broken a kernel."""
    unknown: list[int] = []
    difference, text = Difference(), ""
    for number in range(first + 1, len(pipeline.steps) + 1):
        call = calls_of(pipeline.state(number))[case.number]
        before, text = text, print_module(callee_of(call))
        if text == before:
            continue
        try:
            difference = check_case(case, call, run_callee, tolerance)
            if difference.is_wrong:
                return Suspects([*unknown, number - 1], not unknown, difference)
            unknown = []
        except NotChecked:
            difference, is_known = _check_code(case, call, natively, tolerance)
            if is_known and not difference.is_wrong:
                unknown = []
                continue
            unknown.append(number - 1)
            if is_known and not any(isinstance(op, loop.StmtOp) for op in callee_of(call).walk()):
                break  # nothing but code is made of it
    return Suspects(unknown, not unknown, difference)
