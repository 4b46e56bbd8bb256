"""A module with static shapes to an executable: the levels in order, then link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp, StringAttr

from ..dialects.graph.base import KernelOp
from ..lowering.graph_to_te.site import NUMERICS, STRICT
from ..lowering.program import PackedConstants, ProgramPlan, barrier_text, plan_program
from ..runtime.artifact import Artifact
from ..runtime.executable import Executable
from ..runtime.program import TensorSpec
from ..targets import resolve
from .host import host_function
from .kernel_cache import KernelCache
from .kernels import KernelCompiler, Kernels
from .link import link_artifact
from .options import Options
from .pipelines import FAST, FUSE, GRAPH, TE, AfterPass, run_passes, verify
from .signature import input_specs, output_specs
from .timing import Timings, without_collector


@dataclass
class Compiled:
    """Everything that compiling a module made.

    Attributes:
        executable: to be called.
        artifact: the same, to be kept.
        kernels: the compiled kernels.
        operators: the graph operators of each kernel, by its symbol.
        module: main and the te.kernels.
    """

    executable: Executable
    artifact: Artifact
    kernels: Kernels
    operators: dict[str, list[str]]
    module: ModuleOp
    timings: Timings


def set_target(module: ModuleOp, options: Options) -> None:
    """Write into a module what it is compiled for: passes ask it."""
    is_host = options.target == resolve("cpu")  # tuned, not the level of its name
    module.attributes["nnc.target"] = StringAttr("cpu" if is_host else options.target.name)
    module.attributes.pop(NUMERICS, None)
    if options.numerics == "strict":
        module.attributes[NUMERICS] = STRICT


def lower_to_te(
    module: ModuleOp, options: Options, timings: Timings, after: AfterPass | None = None
) -> dict[str, list[str]]:
    """Fuse and lower an optimised graph, in place: main then holds calls of te.kernels.

    Args: after: called after each pass.
    Returns: the operators of each kernel, by its symbol.
    """
    set_target(module, options)
    if options.numerics == "fast":
        run_passes(FAST, module, timings, after=after)
    run_passes(FUSE, module, timings, after=after)
    operators = {
        op.sym_name.data: [inner.name.removeprefix("graph.") for inner in op.body.block.ops]
        for op in module.walk()
        if isinstance(op, KernelOp)
    }
    run_passes(TE, module, timings, after=after)
    return operators


def compile_module(
    module: ModuleOp,
    options: Options,
    timings: Timings,
    packed: PackedConstants | None = None,
    cache: KernelCache | None = None,
) -> Compiled:
    """Compile a module whose shapes are all known; it is changed.

    Args:
        module: the graph.
        options: what to compile for.
        timings: to add to.
        packed: constants that are shared with the other executables that were made with it.
        cache: compiled kernels, to be used and added to.

    Raises: NncError: with the place of what cannot be compiled.
    """
    with without_collector(), KernelCompiler(options, timings, cache=cache) as compiler:
        verify(module, timings)
        inputs = input_specs(module)
        if options.interpret:
            outputs = output_specs(module)
            plan = plan_program(module, {}, host_function, inputs, outputs, packed)
            artifact = make_artifact(plan, [])
            executable = link_artifact(artifact, options)
            return Compiled(executable, artifact, compiler.kernels, {}, module, timings)
        run_passes(GRAPH, module, timings)
        outputs = output_specs(module)
        operators = lower_to_te(module, options, timings)
        verify(module, timings)
        executable, artifact = _assemble(module, compiler, inputs, outputs, packed)
    return Compiled(executable, artifact, compiler.kernels, operators, module, timings)


def compile_kernels(module: ModuleOp, options: Options, timings: Timings) -> Compiled:
    """Compile a module of main and kernels, of te or of loop, with no pass over the whole.

    Raises: NncError: with the place of what cannot be compiled.
    """
    with without_collector(), KernelCompiler(options, timings) as compiler:
        verify(module, timings)
        inputs, outputs = input_specs(module), output_specs(module)
        executable, artifact = _assemble(module, compiler, inputs, outputs, None)
    return Compiled(executable, artifact, compiler.kernels, {}, module, timings)


def _assemble(
    module: ModuleOp,
    compiler: KernelCompiler,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    packed: PackedConstants | None,
) -> tuple[Executable, Artifact]:
    """Kernels to object code, the plan of the program, and both linked."""
    options, timings = compiler.options, compiler.timings
    compiler.add_all(module)
    with timings.stage("plan"):
        code = compiler.kernels.code
        plan = plan_program(module, code, host_function, inputs, outputs, packed)
    if plan.symbols:
        compiler.add_text(entry_text(plan, options))
    with timings.stage("wait for LLVM"):
        objects = [future.result() for future in compiler.kernels.objects]
    with timings.stage("link"):
        artifact = make_artifact(plan, objects)
        return link_artifact(artifact, options), artifact


def entry_text(plan: ProgramPlan, options: Options) -> str:
    """LLVM IR of the entry functions, with the barrier that they use."""
    return barrier_text(options.target.triple) + plan.llvm_text


def make_artifact(plan: ProgramPlan, objects: Sequence[bytes]) -> Artifact:
    """A program and its object code, not linked yet."""
    numbers = {symbol: number for number, symbol in enumerate(plan.symbols)}
    return Artifact(plan.program(numbers.__getitem__, None), plan.symbols, tuple(objects))
