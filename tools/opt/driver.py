"""Running nn-opt: read, verify, run the pipeline, print; errors become diagnostics here."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import fields, replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr, SymbolRefAttr
from xdsl.ir import Operation
from xdsl.utils.exceptions import (
    ArgSpecParseError,
    DiagnosticException,
    ParseError,
    UnregisteredConstructException,
)

from ...core.diagnostics import Diagnostic, Severity, collecting, from_exception
from ...core.dominance import undominated
from ...core.errors import NncError, PassError
from ...core.extensions import culprit, scope
from ...core.verifier import problems
from ...textir import parse, print_module, read
from ...textir.looks import Look
from ...textir.upstream import read_upstream
from ..files import writing
from ..terminal import colored_ir, is_colored
from . import listing
from .bare import check_bare, without_module
from .check import Check, check_native
from .dumps import PrintIR
from .expectations import compare, expectations, malformed
from .flags import Flags
from .instruments import Instrument, PassFailure
from .jobs import Job, Reproducers
from .manager import PassManager, verify
from .pipeline import Spec, Step, checked_options, pass_flags, render
from .pipeline import parse as parse_pipeline
from .registry import Registry, load
from .reproducer import split_section
from .sources import Part, read_bytes, read_text, shown, split
from .statistics import Listener
from .timing import Timing

if TYPE_CHECKING:
    import numpy as np

USER_ERRORS = (
    NncError,
    DiagnosticException,
    ParseError,
    UnregisteredConstructException,
    ArgSpecParseError,
)


def run(flags: Flags) -> int:
    """Do what the flags say; the exit status."""
    try:
        if flags.version:
            listing.print_versions()
            return 0
        with scope(flags.plugins):
            is_new = flags.new_pass is not None or flags.new_dialect is not None
            return skeletons(flags) if is_new else _run(flags)
    except USER_ERRORS as error:
        _complain(from_exception(error), {})
        return _fail(flags)
    except BrokenPipeError:
        raise  # nobody reads us any more
    except Exception as error:
        _complain(_internal(error), {})
        return _fail(flags)


def skeletons(flags: Flags) -> int:
    """Write what --new-pass and --new-dialect ask for."""
    from .skeleton import new_dialect, new_pass

    if flags.new_pass is not None:
        print(new_pass(flags.new_pass, flags.level, Path.cwd()))
    if flags.new_dialect is not None:
        print(new_dialect(flags.new_dialect, Path.cwd()))
    return 0


def _run(flags: Flags) -> int:
    registry = load()
    flags.pipelines = pass_flags(flags, registry)
    if listing.wanted(flags):
        listing.print_lists(flags, registry)
        return 0
    return Driver(flags, registry).run()


def _complain(diagnostic: Diagnostic, sources: dict[str, str]) -> None:
    place = diagnostic.place
    if place is not None and place.file not in sources:  # patterns of a pass, code of a plug-in
        with suppress(OSError, UnicodeDecodeError):
            sources[place.file] = Path(place.file).read_text("utf-8")
    print(diagnostic.render(sources), file=sys.stderr)


def _internal(error: Exception, step: Step | None = None) -> Diagnostic:
    where = f" in pass '{step.flag}'" if step is not None else ""
    if isinstance(error, RecursionError):
        return Diagnostic(Severity.ERROR, f"the IR is nested too deeply{where}")
    if (blamed := culprit(error)) is not None:
        return _plugin_error(error, where, *blamed)
    return Diagnostic(
        Severity.ERROR,
        f"internal error{where}: {type(error).__name__}: {error}",
        help="this is a bug in the compiler; nn-opt --debug shows the traceback",
    )


def _plugin_error(error: Exception, where: str, owner: str, place: str) -> Diagnostic:
    """What a user is told of an exception that came up in a plug-in's code."""
    text = f"internal error{where}: {type(error).__name__}: {error}"
    hint = f"it came up in {owner}; nn-opt --debug shows the traceback"
    return from_exception(NncError(text, where=place, hint=hint))


def _fail(flags: Flags) -> int:
    if flags.debug:
        traceback.print_exc()
    return 1


class Driver:
    """One run over one input."""

    def __init__(self, flags: Flags, registry: Registry):
        self.flags = flags
        self.registry = registry
        self.file = shown(flags.input)
        self.timing = Timing()
        self.job = Job.of(flags, registry)
        self.listener = Listener(flags.explain, flags.statistics, sys.stderr)
        self.dumps = PrintIR(flags, self.print, sys.stderr)
        self.reproducers = Reproducers(flags)
        self.manager: PassManager | None = None
        """Runs the passes of the module at hand."""
        self.is_bare = False
        """Whether the text at hand has no module around it, and shall have none."""
        self.num_left_out = 0
        """Errors of the text at hand that were counted and not kept."""
        self.sources: dict[str, str] = {}
        self.weights: dict[str, np.ndarray[Any, Any]] = {}
        self.check_names()

    def check_names(self) -> None:
        """Names in flags that stand for passes and targets must be known.

        Raises: PassError: one is not.
        """
        flags = self.flags
        explained = [name for name in flags.explain if name != "*"]
        for name in [*flags.print_before, *flags.print_after, *explained]:
            self.registry.find_pass(name)
        emit = self.emit_spec(flags.emit)
        if emit.name not in ("nn", "mlir"):
            self.registry.find_target(emit.name)
        if flags.target is not None:
            from ...targets import resolve

            resolve(flags.target)

    @staticmethod
    def emit_spec(text: str) -> Spec:
        """What `-t` asks for."""
        specs = parse_pipeline(text)
        if len(specs) != 1:
            raise PassError(f"-t takes one target, got '{text}'")
        return specs[0]

    def run(self) -> int:
        """All parts of the input; the exit status."""
        flags = self.flags
        if flags.dump_pipeline and not flags.run_reproducer:
            self.dump_pipeline()
        written: list[bytes] = []
        failed = False
        for part in self.parts():
            made, ok = self.run_part(part)
            failed |= not ok
            written.append(made)
        separator = f"{flags.output_split_marker}\n".encode()
        if flags.output == "-" or not failed:  # a file, perhaps the input, keeps what it has
            self.write(separator.join(written))
        self.report()
        return int(failed)

    def dump_pipeline(self) -> None:
        """The pipeline as it was understood; it can be given again."""
        steps = self.job.steps
        print(f"Pass Manager with {len(steps)} passes:\n{render(steps)}", file=sys.stderr)

    def report(self) -> None:
        """Statistics and times, as the flags want them."""
        flags, steps = self.flags, self.job.steps
        is_json = flags.output_format == "json"
        if flags.statistics:
            show = self.listener.pipeline if flags.statistics_display != "list" else None
            show = self.listener.json if is_json else show or self.listener.list
            sys.stderr.write(show(steps))
        if flags.timing:
            self.timing.stop()
            table = self.timing.list if flags.timing_display == "list" else self.timing.tree
            sys.stderr.write(self.timing.json() if is_json else table())

    def parts(self) -> list[Part]:
        """The texts to read; one empty part for a front end's binary file."""
        if self.flags.format not in ("nn", "mlir"):
            return [Part("", 1)]
        text = read_text(self.flags.input)
        self.sources[self.file] = text
        return split(text, self.flags.split_marker)

    def run_part(self, part: Part) -> tuple[bytes, bool]:
        """One module: what is to be written, and whether all was as it should be."""
        made = b""
        with collecting() as diagnostics:
            try:
                made = self.transform(part)
            except PassFailure as failure:
                diagnostics += failure.diagnostics
            except USER_ERRORS as error:
                self.show_traceback()
                diagnostics.append(from_exception(error))
            except Exception as error:
                self.show_traceback()
                diagnostics.append(_internal(error, self.manager and self.manager.step))
        errors = [one.message for one in diagnostics if one.severity is Severity.ERROR]
        ok = not errors
        if self.flags.verify_diagnostics:
            expected = expectations(part.text, part.first_line)
            is_loose = self.flags.verify_diagnostics == "only-expected"
            diagnostics = compare(expected, diagnostics, self.file, only_expected=is_loose)
            diagnostics += malformed(part.text, self.file, part.first_line)
            ok = not diagnostics
        else:
            diagnostics = capped(diagnostics, self.flags.max_errors, self.num_left_out)
        for diagnostic in diagnostics:
            _complain(diagnostic, self.sources)
            if self.flags.op_on_diagnostic and diagnostic.op is not None:
                text = print_module(diagnostic.op, generic=True, elide=self.flags.elide)
                print(f"note: see current operation:\n{text.rstrip()}", file=sys.stderr)
        self.reproducers.settle(errors)
        return made, ok

    def show_traceback(self) -> None:
        if self.flags.debug:
            traceback.print_exc()

    def transform(self, part: Part) -> bytes:
        """Parse, verify, run the passes, print."""
        flags = self.flags
        self.manager = None
        self.timing.restart()
        part = self.without_recipe(part)
        self.num_left_out = 0
        context = self.registry.context(allow_unregistered=flags.allow_unregistered)
        with self.timing.stage("Parser"):
            module = self.parse(part, context)
        with self.timing.stage("Verifier"):
            verify(module)
        if flags.target is not None:
            module.attributes["nnc.target"] = StringAttr(flags.target)
        if flags.verify_roundtrip:
            check_roundtrip(module, context)
        with self.job.counting(report=flags.print_debug_counter):
            self.run_steps(module, context)
        if self.job.check_native:
            check_native(module, sys.stderr)
        with self.timing.stage("Output"):
            return self.emit(module, context)

    def without_recipe(self, part: Part) -> Part:
        """The text of a module, without the section of a reproducer, which becomes the job."""
        if self.flags.format not in ("nn", "mlir"):
            return part
        text, recipe = split_section(part.padded, self.file)
        if not self.flags.run_reproducer:
            return part if recipe is None else replace(part, text=text[part.first_line - 1 :])
        self.job = self.job.reproducing(recipe, self.file, self.registry)
        if self.flags.dump_pipeline:
            self.dump_pipeline()
        return replace(part, text=text[part.first_line - 1 :])

    def run_steps(self, module: ModuleOp, context: Context) -> None:
        """The pipeline, with all that the flags ask for around each pass."""
        around: list[Instrument] = [self.listener]
        if self.dumps.is_wanted:
            around.append(self.dumps)
        if self.job.check_semantics:
            around.append(Check(sys.stderr))
        around += self.reproducers.start(self.job, module)
        self.manager = PassManager(
            self.job.steps,
            context,
            verify_each=self.job.verify_each,
            instruments=around,
            timing=self.timing,
        )
        self.manager.run(module)

    def parse(self, part: Part, context: Context) -> ModuleOp:
        """The module of a text, or of a model that a front end reads."""
        format_, path = self.flags.format, self.flags.input
        if format_ not in ("nn", "mlir"):
            return _read_model(format_, path)
        module = self.read(part, context)
        if path != "-" and "graph.weight" in part.text:
            from ...textir import weights

            weights.load(module, path)
        return module

    def read(self, part: Part, context: Context) -> ModuleOp:
        """The module of a text, of ours or of upstream's.

        Raises: PassFailure: with all that is wrong in it, what the verifiers find included.
        """
        flags = self.flags
        limit = None if flags.verify_diagnostics else flags.max_errors or None
        read_text = read if flags.format == "nn" else read_upstream
        reading = read_text(part.padded, self.file, context, max_errors=limit)
        self.num_left_out = reading.num_left_out
        self.is_bare = flags.no_implicit_module and reading.is_implicit
        if not reading.errors:
            if self.is_bare:
                check_bare(reading.module, self.job.steps, self.file)
            return reading.module
        found = [from_exception(error) for error in reading.errors]
        found += [
            problem.diagnostic()
            for problem in problems(reading.module, reading.failed)
            if not names_any(problem.op, reading.missing_symbols)
        ]
        found += [one.diagnostic() for one in undominated(reading.module)]
        raise PassFailure(sorted(found, key=_in_text))

    def print(self, module: Operation) -> str:
        """A module, or another op, in the form that the flags ask for."""
        flags = self.flags
        generic = flags.generic or self.job.emit == "mlir"
        look = Look(
            generic=generic,
            properties=not flags.no_properties,
            locations=flags.locations,
            pretty_locations=flags.pretty_locations,
            elide=flags.elide,
            elide_strings=flags.elide_strings,
            hex_from=flags.hex_from,
            node_names=flags.node_names,
            unique_names=flags.unique_names,
            users=flags.users,
            skip_regions=flags.skip_regions,
        )
        return print_module(without_module(module) if self.is_bare else module, look=look)

    def emit(self, module: ModuleOp, context: Context) -> bytes:
        """What goes to stdout."""
        spec = self.emit_spec(self.job.emit)
        if spec.name in ("nn", "mlir"):
            text = self.print(module)
            if self.flags.output != "-" and "graph.weight" in text:
                from ...textir import weights

                self.weights |= weights.collect(module)
            return text.rstrip("\n").encode() + b"\n"
        self.reproducers.emitting(module, self.job)
        return emit_target(self.registry, spec, module, context)

    def write(self, made: bytes) -> None:
        """Write to stdout, or to the file of `-o` and the weights beside it."""
        if self.flags.output == "-":
            is_ir = self.emit_spec(self.job.emit).name in ("nn", "mlir")
            if is_ir and is_colored(self.flags.color, sys.stdout):
                made = colored_ir(made.decode()).encode()
            sys.stdout.flush()
            sys.stdout.buffer.write(made)
            sys.stdout.buffer.flush()
            return
        with writing(self.flags.output):
            Path(self.flags.output).write_bytes(made)
        if self.weights:
            from ...textir import weights

            weights.save(self.weights, self.flags.output)


def emit_target(registry: Registry, spec: Spec, module: ModuleOp, context: Context) -> bytes:
    """What a target makes of a module. One with `emit_bytes` writes bytes, the others text."""
    from xdsl.utils.arg_spec import ArgSpec

    class_ = registry.find_target(spec.name)
    options = checked_options("target", spec, {f.name: f.type for f in fields(class_)})
    try:
        target = class_.from_spec(ArgSpec(spec.name, options))
    except ValueError as error:
        raise PassError(f"options of target '{spec.name}': {error}") from None
    emit_bytes = getattr(target, "emit_bytes", None)
    if emit_bytes is not None:
        binary = BytesIO()
        cast("Callable[[Context, ModuleOp, BytesIO], None]", emit_bytes)(context, module, binary)
        return binary.getvalue()
    text = StringIO()
    target.emit(context, module, text)
    return text.getvalue().encode()


def _in_text(diagnostic: Diagnostic) -> tuple[int, int]:
    place = diagnostic.place
    return (sys.maxsize, 0) if place is None else (place.line, place.col)


def names_any(op: Operation, symbols: AbstractSet[str]) -> bool:
    """Whether a property or an attribute of an op is one of these symbols."""
    values = [*op.properties.values(), *op.attributes.values()]
    return any(
        isinstance(value, SymbolRefAttr) and value.root_reference.data in symbols
        for value in values
    )


def capped(diagnostics: Sequence[Diagnostic], limit: int, num_more: int = 0) -> list[Diagnostic]:
    """At most `limit` errors (0: all), and a line that says how many were left out.

    Args: num_more: errors that were left out before.
    """
    shown: list[Diagnostic] = []
    errors = 0
    for diagnostic in diagnostics:
        errors += diagnostic.severity is Severity.ERROR
        is_last_word = diagnostic.severity is Severity.NOTE and diagnostic.place is None
        if not limit or errors <= limit or is_last_word:
            shown.append(diagnostic)
    left_out = num_more + max(0, errors - limit if limit else 0)
    if left_out:
        words = "error was" if left_out == 1 else "errors were"
        text = f"{left_out} more {words} left out; --max-errors={limit + left_out} shows all"
        shown.append(Diagnostic(Severity.NOTE, text))
    return shown


def check_roundtrip(module: ModuleOp, context: Context) -> None:
    """Print and parse in both forms, with locations, and compare.

    Raises: PassError: with the first difference.
    """
    from ...textir.equality import equal

    for generic in (False, True):
        text = print_module(module, generic=generic, locations=True)
        again = parse(text, "<roundtrip>", context.clone())
        difference = equal(module, again, locations=True, names=not generic)
        if difference is not None:
            form = "generic" if generic else "pretty"
            raise PassError(f"the {form} form does not round-trip: {difference}")


def _read_model(front_end: str, path: str) -> ModuleOp:
    from ...frontends import checked, formats

    known = formats()
    if front_end not in known:
        raise NncError(f"unknown input format '{front_end}'", hint=f"formats: {', '.join(known)}")
    source: str | bytes = read_bytes(path) if path == "-" else path
    return checked(known[front_end]()(source), shown(path))
