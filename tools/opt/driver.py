"""Running nn-opt: read, verify, run the pipeline, print; errors become diagnostics here."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.utils.exceptions import (
    ArgSpecParseError,
    DiagnosticException,
    ParseError,
    UnregisteredConstructException,
)

from ...core.diagnostics import Diagnostic, Severity, collecting, from_exception
from ...core.dominance import undominated
from ...core.errors import NncError, PassError
from ...core.explain import Log, explaining
from ...core.extensions import culprit, scope
from ...core.verifier import problems
from ...textir import parse, print_module
from ...textir.upstream import parse_upstream
from ..terminal import colored_ir, is_colored
from . import listing
from .check import Check, check_native
from .expectations import compare, expectations
from .flags import Flags
from .instruments import Instrument, PassFailure, PrintIR, Timing
from .pipeline import Spec, Step, build, render
from .pipeline import parse as parse_pipeline
from .registry import Registry, load
from .sources import Part, read_bytes, read_text, shown, split

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
            return skeletons(flags) if flags.new_pass or flags.new_dialect else _run(flags)
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

    if flags.new_pass:
        print(new_pass(flags.new_pass, flags.level, Path.cwd()))
    if flags.new_dialect:
        print(new_dialect(flags.new_dialect, Path.cwd()))
    return 0


def _run(flags: Flags) -> int:
    registry = load()
    if listing.wanted(flags):
        listing.print_lists(flags, registry)
        return 0
    return Driver(flags, registry).run()


def _complain(diagnostic: Diagnostic, sources: dict[str, str]) -> None:
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
        self.steps = build(flags.pipelines, registry)
        self.timing = Timing()
        self.log = Log()
        self.step: Step | None = None
        """The pass at work."""
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
        if self.emit_spec.name not in ("nn", "mlir"):
            self.registry.find_target(self.emit_spec.name)
        if flags.target is not None:
            from ...targets import resolve

            resolve(flags.target)

    @property
    def emit_spec(self) -> Spec:
        """What `-t` asks for."""
        specs = parse_pipeline(self.flags.emit)
        if len(specs) != 1:
            raise PassError(f"-t takes one target, got '{self.flags.emit}'")
        return specs[0]

    def run(self) -> int:
        """All parts of the input; the exit status."""
        flags = self.flags
        if flags.dump_pipeline:
            count = len(self.steps)
            print(f"Pass Manager with {count} passes:\n{render(self.steps)}", file=sys.stderr)
        written: list[bytes] = []
        failed = False
        for part in self.parts():
            made, ok = self.run_part(part)
            failed |= not ok
            written.append(made)
        separator = f"{flags.output_split_marker}\n".encode()
        self.write(separator.join(written))
        if flags.timing:
            sys.stderr.write(self.timing.report())
        if flags.statistics:
            sys.stderr.write(listing.statistics(self.log))
        return int(failed)

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
                diagnostics.append(_internal(error, self.step))
        ok = all(one.severity is not Severity.ERROR for one in diagnostics)
        if self.flags.verify_diagnostics:
            expected = expectations(part.text, part.first_line)
            diagnostics = compare(expected, diagnostics, self.file)
            ok = not diagnostics
        for diagnostic in diagnostics:
            _complain(diagnostic, self.sources)
        return made, ok

    def show_traceback(self) -> None:
        if self.flags.debug:
            traceback.print_exc()

    def transform(self, part: Part) -> bytes:
        """Parse, verify, run the passes, print."""
        flags = self.flags
        self.step = None
        context = self.registry.context(allow_unregistered=flags.allow_unregistered)
        with self.timing.stage("parse"):
            module = self.parse(part, context)
        self.verify(module)
        if flags.target is not None:
            module.attributes["nnc.target"] = StringAttr(flags.target)
        if flags.verify_roundtrip:
            check_roundtrip(module, context)
        self.run_steps(module, context)
        if flags.check_native:
            check_native(module, sys.stderr)
        with self.timing.stage("print"):
            return self.emit(module, context)

    def parse(self, part: Part, context: Context) -> ModuleOp:
        """The module of a text, or of a model that a front end reads."""
        format_, path = self.flags.format, self.flags.input
        if format_ not in ("nn", "mlir"):
            return _read_model(format_, path)
        if format_ == "nn":
            module = parse(part.padded, self.file, context)
        else:
            module = parse_upstream(part.padded, self.file, context)
        if path != "-" and "graph.weight" in part.text:
            from ...textir import weights

            weights.load(module, path)
        return module

    def verify(self, module: ModuleOp, after: Step | None = None) -> None:
        """Check everything, dominance included.

        Raises: PassFailure: with all that is wrong.
        """
        found = [one.diagnostic() for one in problems(module)]
        found += [one.diagnostic() for one in undominated(module)]
        if found:
            if after is not None:
                text = f"pass '{after.flag}' left the module broken"
                found.append(Diagnostic(Severity.NOTE, text))
            raise PassFailure(found)

    def run_steps(self, module: ModuleOp, context: Context) -> None:
        """The pipeline, with all that the flags ask for around each pass."""
        around = self.instruments()
        for step in self.steps:
            self.step = step
            for one in around:
                one.before(step, module)
            try:
                self.apply(step, module, context)
                if self.flags.verify_each:
                    self.verify(module, step)
            except BaseException:
                for one in around:
                    one.failed(step, module)
                raise
            for one in around:
                one.after(step, module)
        self.step = None

    def apply(self, step: Step, module: ModuleOp, context: Context) -> None:
        """Run one pass, listening to it where a flag asks for that."""
        explain = "*" in self.flags.explain or step.flag in self.flags.explain
        listening = explain or self.flags.statistics
        with (
            self.timing.stage(step.title),
            explaining() if listening else nullcontext(Log()) as log,
        ):
            step.apply(context, module)
        for name, number in log.counts.items():
            self.log.counts[f"{step.flag}: {name}"] += number
        if explain:
            for note in log.notes:
                print(f"{step.flag}: {note}", file=sys.stderr)

    def instruments(self) -> list[Instrument]:
        """What stands around each pass."""
        found: list[Instrument] = []
        dumps = PrintIR(self.flags, self.print, sys.stderr)
        if dumps.is_wanted:
            found.append(dumps)
        if self.flags.check_semantics:
            found.append(Check(sys.stderr))
        return found

    def print(self, module: ModuleOp) -> str:
        """A module in the form that the flags ask for."""
        flags = self.flags
        generic = flags.generic or flags.emit == "mlir"
        return print_module(module, generic=generic, locations=flags.locations, elide=flags.elide)

    def emit(self, module: ModuleOp, context: Context) -> bytes:
        """What goes to stdout."""
        spec = self.emit_spec
        if spec.name in ("nn", "mlir"):
            text = self.print(module)
            if self.flags.output != "-" and "graph.weight" in text:
                from ...textir import weights

                self.weights |= weights.collect(module)
            return text.rstrip("\n").encode() + b"\n"
        return emit_target(self.registry, spec, module, context)

    def write(self, made: bytes) -> None:
        """Write to stdout, or to the file of `-o` and the weights beside it."""
        if self.flags.output == "-":
            is_ir = self.emit_spec.name in ("nn", "mlir")
            if is_ir and is_colored(self.flags.color, sys.stdout):
                made = colored_ir(made.decode()).encode()
            sys.stdout.flush()
            sys.stdout.buffer.write(made)
            sys.stdout.buffer.flush()
            return
        try:
            Path(self.flags.output).write_bytes(made)
        except OSError as error:
            raise NncError(f"cannot write {self.flags.output}: {error.strerror}") from None
        if self.weights:
            from ...textir import weights

            weights.save(self.weights, self.flags.output)


def emit_target(registry: Registry, spec: Spec, module: ModuleOp, context: Context) -> bytes:
    """What a target makes of a module. One with `emit_bytes` writes bytes, the others text."""
    from xdsl.utils.arg_spec import ArgSpec

    try:
        target = registry.find_target(spec.name).from_spec(ArgSpec(spec.name, spec.options))
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
    from ...frontends import formats

    known = formats()
    if front_end not in known:
        raise NncError(f"unknown input format '{front_end}'", hint=f"formats: {', '.join(known)}")
    source: str | bytes = read_bytes(path) if path == "-" else path
    return known[front_end]()(source)
