"""`nnc bisect`: which pass makes a model's result wrong, at which node, and how to see it alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from xdsl.dialects.builtin import ModuleOp, StringAttr

from ...compiler.options import Options
from ...compiler.schedules import replace_schedules
from ...compiler.signature import input_signatures, output_signatures
from ...compiler.source import load
from ...core.errors import InputError
from ...passes.graph.infer_shapes import specialize
from ...runtime.arrays import Array
from ...targets import resolve
from ..bisect.finding import IMPORT, Finding
from ..bisect.references import ONNXRUNTIME, given_outputs, locate_in_import
from ..bisect.report import print_finding, print_right
from ..bisect.reproduce import Reproducer, Reproduction, narrow, write
from ..bisect.reproduce import run as run_reproducer
from ..bisect.search import Search
from ..bisect.steps import Pipeline, default_pipeline, has_schedules
from ..bisect.values import SPREADS, Tolerance
from ..bisect.wrap import with_main
from ..opt.registry import load as load_registry
from .arrays import random_inputs, read_inputs
from .flags import Flags


def run(flags: Flags) -> int:
    """Search, print what was found, write the reproducer; 0 where the result is right."""
    options = Options.of(flags.target, flags.threads, flags.numerics)
    options.check_runs_here()
    registry = load_registry()
    module, inputs = _module(flags, options)
    text = flags.passes or default_pipeline(flags.numerics, has_schedules(module))
    pipeline = Pipeline(text, registry, module)
    console, status = Console(markup=False), Console(stderr=True, markup=False)
    names = [each.name for each in output_signatures(module)]
    tolerance = Tolerance(SPREADS[flags.numerics], flags.tolerance)
    given = given_outputs(flags.against or "reference", flags.model, inputs, names)
    with status.status("") as spinner:

        def say(what: str) -> None:
            spinner.update(what)
            if not status.is_terminal:
                print(what, file=sys.stderr)

        search = Search(pipeline, inputs, options, tolerance, given, say)
        finding = search.run()
        if finding is not None and finding.stage == IMPORT and flags.against == ONNXRUNTIME:
            finding = _in_import(finding, flags, search)
        if finding is None:
            print_right(console, search.margins)
            return 0
        found = None
        if finding.stage != IMPORT:
            say("reducing a reproducer")
            found = Reproduction(pipeline, finding).run()
            if found is not None:
                narrow(found, pipeline, finding)
        print_finding(console, finding, search.margins)
        if finding.stage != IMPORT:
            _reproduce(flags, found, finding, console)
    return 1


def _module(flags: Flags, options: Options) -> tuple[ModuleOp, dict[str, Array]]:
    """The model with known shapes, and its inputs.

    Raises: InputError: extents that are open, inputs that do not fit.
    """
    module = with_main(load(flags.model))
    signatures = input_signatures(module)
    given = read_inputs(flags.inputs, signatures)
    shapes = {name: array.shape for name, array in given.items()}
    specialize(module, {**dict(flags.shapes), **shapes})
    if flags.schedules is not None:
        replace_schedules(module, flags.schedules)
    is_host = options.target == resolve("cpu")
    module.attributes["nnc.target"] = StringAttr("cpu" if is_host else options.target.name)
    return module, random_inputs(input_signatures(module), flags.seed, given)


def _in_import(finding: Finding, flags: Flags, search: Search) -> Finding:
    """The node that the front end or the reference has wrong."""
    found = locate_in_import(flags.model, search.inputs, search.trace(0), search.tolerance)
    if found is None:
        return finding
    return replace(finding, node=found.node, how=found.how, op=found.op, local=found.difference)


def _reproduce(flags: Flags, found: Reproducer | None, finding: Finding, console: Console) -> None:
    if found is None:
        text = "no reproducer: on nn-opt's own inputs the parts around it do not differ"
        console.print(text, soft_wrap=True, highlight=False)
        return
    path = flags.output or f"{Path(flags.model).stem}.bisect.nn"
    command = write(found, finding, path, flags.plugins)
    outcome = run_reproducer(path, flags.plugins)
    if not outcome.status:
        raise InputError("the reproducer does not fail in nn-opt", where=path)
    text = f"reproducer ({found.operations} operations): {command}"
    console.print(text, soft_wrap=True, highlight=False)
    last = [line for line in outcome.err.decode().splitlines() if "error:" in line]
    console.print(f"  {last[-1] if last else ''}", soft_wrap=True, highlight=False)
