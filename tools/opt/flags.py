"""The flags of nn-opt. Nothing here imports xDSL: `--help` is quick."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NoReturn

from ...core.errors import did_you_mean
from ..arguments import whole
from ..terminal import add_color_flag
from .report_flags import Group as _Group
from .report_flags import add_reports, add_reproducers
from .report_flags import on as _on

SPLIT_MARKER = "// -----"
MAX_ERRORS = 20
ELIDE_ELEMENTS = 16
"""What a bare --elide-large-constants leaves."""

_BARE = {
    "--verify-each": "1",
    "--split-input-file": SPLIT_MARKER,
    "--elide-large-constants": str(ELIDE_ELEMENTS),
    "--explain": "*",
    "--timing-display": "tree",
    "--pass-statistics-display": "pipeline",
    "--verify-diagnostics": "all",
}
"""The value of an option that may be given without one (`--flag=value` or bare `--flag`)."""
_XDSL = {
    "--disable-verify": "--verify-each=0",
    "--print-between-passes": "--print-ir-after-all",
    "--syntax-highlight": "--color=always",
    "--time-passes": "--timing",
}
"""What xdsl-opt calls differently."""
_ON = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


class Flags(argparse.Namespace):
    """What the command line says."""

    input: str
    output: str
    format: str
    pipelines: list[str]
    """Texts of pipelines, and unknown `--name=options`: flags of passes, or mistakes."""
    spellings: list[str]
    """Every flag there is."""
    emit: str
    target: str | None
    plugins: list[str]
    allow_unregistered: bool
    no_implicit_module: bool
    split_marker: str | None
    output_split_marker: str
    verify_each: bool
    max_errors: int
    verify_diagnostics: str | None
    verify_roundtrip: bool
    check_semantics: bool
    check_native: bool
    print_before: list[str]
    print_after: list[str]
    print_before_all: bool
    print_after_all: bool
    print_after_change: bool
    print_after_failure: bool
    tree_dir: str | None
    module_scope: bool
    generic: bool
    no_properties: bool
    locations: bool
    pretty_locations: bool
    elide: int | None
    color: str
    elide_strings: int | None
    hex_from: int | None
    node_names: bool
    unique_names: bool
    users: bool
    skip_regions: bool
    timing: bool
    timing_display: str
    statistics: bool
    statistics_display: str
    output_format: str
    explain: list[str]
    debug_counters: list[str]
    print_debug_counter: bool
    crash_reproducer: str | None
    local_reproducer: bool
    generate_reproducer: str | None
    run_reproducer: bool
    op_on_diagnostic: bool
    dump_pipeline: bool
    list_passes: bool
    show_dialects: bool
    list_targets: bool
    version: bool
    debug: bool
    new_pass: str | None
    new_dialect: str | None
    level: str


class _Parser(argparse.ArgumentParser):
    """Exit status 1 for wrong flags, and a guess at what was meant."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {message}", file=sys.stderr)
        print(f"  help: {self.prog} --help lists the flags", file=sys.stderr)
        raise SystemExit(1)

    def spellings(self) -> list[str]:
        """Every long spelling of every flag."""
        return [name for name in self._option_string_actions if name.startswith("--")]


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line.

    Raises: SystemExit: status 1 for a wrong flag, 0 after `--help`.
    """
    parser = _make_parser()
    known = parser.spellings()
    arguments = list(_normalise(argv, frozenset(known)))
    flags, unknown = parser.parse_known_args(arguments, namespace=Flags(spellings=known))
    stray = [name for name in unknown if not name.startswith("-")]
    if stray:
        parser.error(f"one file is read, not also '{stray[0]}'{_meant(argv, stray[0], known)}")
    if unknown:
        refuse(flags, unknown)
    return flags


def _meant(argv: Sequence[str], stray: str, known: Sequence[str]) -> str:
    """A guess at why there are two files: a value behind its flag instead of `=`, or no flag."""
    for name, value in pairwise(argv):
        if name in _BARE and not value.startswith("-"):
            return f"; was {name}={value} meant?"
        is_flag = name.startswith("-") and name not in known
        if value == stray and is_flag and (guess := did_you_mean(name, known)):
            return f"; for '{name}', {guess}"
    return ""


def refuse(flags: Flags, unknown: Sequence[str], more: Sequence[str] = ()) -> NoReturn:
    """Report arguments that are no flags; `more` are flags that may have been meant, too."""
    parts: list[str] = []
    for argument in unknown:
        name = argument.partition("=")[0]
        guess = did_you_mean(name, [*flags.spellings, *more])
        parts.append(f"unknown argument '{argument}'" + (f", {guess}" if guess else ""))
    _make_parser().error("; ".join(parts))


def _normalise(argv: Sequence[str], known: frozenset[str]) -> Iterator[str]:
    """LLVM's one-dash spelling of long flags becomes two dashes, bare flags get their value.

    A flag that is not known may be that of a pass: it stays among the pipelines, in their order.
    """
    for given in argv:
        argument = _XDSL.get(given, given)
        name, equals, value = argument.partition("=")
        if f"-{name}" in known and not name.startswith("--") and len(name) > 2:
            name = f"-{name}"
        if not equals and name in _BARE:
            equals, value = "=", _BARE[name]
        if name.startswith("--") and len(name) > 2 and name not in known:
            yield f"--passes={argument}"
        else:
            yield f"{name}{equals}{value}"


def _switch(text: str) -> bool:
    if text.lower() not in _ON:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(_ON)}, got '{text}'")
    return _ON[text.lower()]


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _make_parser() -> _Parser:
    parser = _Parser(
        prog="nn-opt",
        description="Read IR, run passes over it, print it: IR on stdout, all else on stderr.",
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=98),
    )
    _add_input(parser.add_argument_group("input and output"))
    _add_passes(parser.add_argument_group("passes"))
    add_reports(parser.add_argument_group("reports"))
    add_reproducers(parser.add_argument_group("reproducers and bisection"))
    _add_checks(parser.add_argument_group("checks"))
    _add_printing(parser.add_argument_group("printing"))
    _add_information(parser.add_argument_group("information"))
    _add_skeletons(parser.add_argument_group("something new"))
    return parser


def _add_input(group: _Group) -> None:
    group.add_argument("input", nargs="?", default="-", help="a file, or - for stdin (default)")
    group.add_argument(
        "-o", "--output-file", dest="output", metavar="FILE", default="-", help="write there"
    )
    group.add_argument(
        "-f",
        "--input-format",
        "--frontend",
        dest="format",
        default="nn",
        metavar="FORMAT",
        help="nn: our text, pretty or generic (default); mlir: upstream custom syntax, read by "
        "xDSL's parser; or a front end, such as onnx",
    )
    group.add_argument(
        "-t",
        "--emit",
        dest="emit",
        default="nn",
        metavar="NAME[{options}]",
        help="what to write: nn (default), mlir (generic form), or a target of --list-targets",
    )
    group.add_argument(
        "--target", metavar="MACHINE", help="the machine to compile for: sets nnc.target"
    )
    group.add_argument(
        "--split-input-file",
        dest="split_marker",
        metavar="MARKER",
        help=f"the parts of the input between lines '{SPLIT_MARKER}' are modules of their own",
    )
    group.add_argument(
        "--output-split-marker",
        default=SPLIT_MARKER,
        metavar="MARKER",
        help="the line between the modules of a split input",
    )
    group.add_argument(
        "--load-plugin",
        dest="plugins",
        action="append",
        default=[],
        metavar="FILE.py|MODULE",
        help="what a Python file or module adds (docs/extending.md); may be repeated",
    )
    _on(
        group,
        "--allow-unregistered-dialect",
        dest="allow_unregistered",
        text="ops of unknown dialects are read in the generic form",
    )
    _on(
        group,
        "--no-implicit-module",
        dest="no_implicit_module",
        text="the input is one op: no builtin.module is put around it",
    )


def _add_passes(group: _Group) -> None:
    group.add_argument(
        "-p",
        "--passes",
        "--pass-pipeline",
        dest="pipelines",
        action="append",
        default=[],
        metavar="PIPELINE",
        help="a,b{x=1} or builtin.module(func.func(a,b{x=1})); may be repeated; a pass's own flag "
        "is the same, --a --b='x=1'",
    )
    group.add_argument(
        "--explain",
        type=_names,
        default=[],
        metavar="PASS,...",
        help="say why rules of these passes (bare: of all) left ops alone",
    )
    _on(
        group,
        "--dump-pass-pipeline",
        dest="dump_pipeline",
        text="the pipeline as it was understood",
    )


def _add_checks(group: _Group) -> None:
    group.add_argument(
        "--max-errors",
        type=whole(0),
        default=MAX_ERRORS,
        metavar="N",
        help=f"errors of a module to report, 0 for all (default {MAX_ERRORS})",
    )
    group.add_argument(
        "--verify-each",
        type=_switch,
        default=True,
        metavar="0|1",
        help="verify after each pass (default 1)",
    )
    group.add_argument(
        "--verify-diagnostics",
        dest="verify_diagnostics",
        choices=("all", "only-expected"),
        help="compare errors with the comments `// expected-error@+1 {{...}}` of the input; "
        "only-expected: others may come, too",
    )
    _on(
        group,
        "--verify-roundtrip",
        dest="verify_roundtrip",
        text="print and parse the input, pretty and generic, and compare",
    )
    _on(
        group,
        "--check-semantics",
        dest="check_semantics",
        text="run the IR before and after each pass on the same inputs, and compare",
    )
    _on(
        group,
        "--check-native",
        dest="check_native",
        text="compile what the last pass leaves, run it here, and compare with the reference",
    )


def _add_printing(group: _Group) -> None:
    for when in ("before", "after"):
        group.add_argument(
            f"--print-ir-{when}",
            f"--mlir-print-ir-{when}",
            dest=f"print_{when}",
            type=_names,
            default=[],
            metavar="PASS,...",
            help=f"print the IR {when} these passes",
        )
        _on(
            group,
            f"--print-ir-{when}-all",
            f"--mlir-print-ir-{when}-all",
            dest=f"print_{when}_all",
            text=f"print the IR {when} every pass",
        )
    for when, text in (("change", "only if it changed"), ("failure", "only if it failed")):
        _on(
            group,
            f"--print-ir-after-{when}",
            f"--mlir-print-ir-after-{when}",
            dest=f"print_after_{when}",
            text=f"print the IR after a pass {text}",
        )
    group.add_argument(
        "--print-ir-tree-dir",
        "--mlir-print-ir-tree-dir",
        dest="tree_dir",
        metavar="DIR",
        help="print the IR into files there, not on stderr (alone: after every pass)",
    )
    add_color_flag(group.add_argument)
    _add_look(group)


_LOOKS = (
    ("print-ir-module-scope", "module_scope", "the whole module, not the op that a pass ran on"),
    ("print-op-generic", "generic", "MLIR's generic form"),
    ("print-no-properties", "no_properties", "properties among the attributes, if generic"),
    ("print-debuginfo", "locations", "print locations"),
    ("pretty-debuginfo", "pretty_locations", "print locations for people"),
    ("print-local-scope", "local_scope", "nothing stands for an attribute; so it is always"),
    ("disable-threading", "one_thread", "passes do not run at the same time; so it is always"),
    ("use-nameloc-as-prefix", "node_names", "values are called as the model's nodes: %%Conv_4"),
    ("print-unique-ssa-ids", "unique_names", "no name stands for two values"),
    ("print-value-users", "users", "comments say where values are used"),
    ("print-skip-regions", "skip_regions", "{...} for regions"),
)


def _add_look(group: _Group) -> None:
    for name, dest, text in _LOOKS:
        _on(group, f"--{name}", f"--mlir-{name}", dest=dest, text=text)
    group.add_argument(
        "--elide-large-constants",
        "--elide-elementsattrs-if-larger",
        "--mlir-elide-elementsattrs-if-larger",
        dest="elide",
        type=whole(0),
        metavar="N",
        help=f"shorten constants of more than N elements (bare: {ELIDE_ELEMENTS})",
    )
    group.add_argument(
        "--elide-resource-strings-if-larger",
        "--mlir-elide-resource-strings-if-larger",
        dest="elide_strings",
        type=whole(0),
        metavar="N",
        help="shorten constants of more than N hexadecimal digits",
    )
    group.add_argument(
        "--print-elementsattrs-with-hex-if-larger",
        "--mlir-print-elementsattrs-with-hex-if-larger",
        dest="hex_from",
        type=int,
        metavar="N",
        help="write constants of more than N elements (default 100) in hexadecimal, -1: none",
    )


def _add_information(group: _Group) -> None:
    _on(group, "--list-passes", dest="list_passes", text="every pass, with its options")
    _on(group, "--show-dialects", dest="show_dialects", text="every dialect that can be read")
    _on(group, "--list-targets", dest="list_targets", text="what -t can write")
    _on(group, "-v", "--version", dest="version", text="versions of nnc and xDSL")
    _on(
        group,
        "--print-op-on-diagnostic",
        "--mlir-print-op-on-diagnostic",
        dest="op_on_diagnostic",
        text="show the op behind an error, in the generic form",
    )
    _on(
        group,
        "--debug",
        "--print-stacktrace-on-diagnostic",
        "--mlir-print-stacktrace-on-diagnostic",
        dest="debug",
        text="show Python tracebacks",
    )


def _add_skeletons(group: _Group) -> None:
    group.add_argument("--new-pass", metavar="NAME", help="write a pass that works, and its test")
    group.add_argument(
        "--level", choices=("graph", "te", "loop"), default="graph", help="of it (default graph)"
    )
    group.add_argument("--new-dialect", metavar="NAME", help="write a dialect, and its test")
