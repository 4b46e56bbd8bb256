"""The flags of nn-opt. Nothing here imports xDSL: `--help` is quick."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import NoReturn

from ..terminal import add_color_flag

SPLIT_MARKER = "// -----"
ELIDE_ELEMENTS = 16
"""What a bare --elide-large-constants leaves."""

_BARE = {
    "--verify-each": "1",
    "--split-input-file": SPLIT_MARKER,
    "--elide-large-constants": str(ELIDE_ELEMENTS),
    "--explain": "*",
}
"""The value of an option that may be given without one (`--flag=value` or bare `--flag`)."""
_ON = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


class Flags(argparse.Namespace):
    """What the command line says."""

    input: str
    output: str
    format: str
    pipelines: list[str]
    emit: str
    target: str | None
    plugins: list[str]
    allow_unregistered: bool
    split_marker: str | None
    output_split_marker: str
    verify_each: bool
    verify_diagnostics: bool
    verify_roundtrip: bool
    check_semantics: bool
    check_native: bool
    print_before: list[str]
    print_after: list[str]
    print_before_all: bool
    print_after_all: bool
    print_after_change: bool
    print_after_failure: bool
    generic: bool
    locations: bool
    elide: int | None
    color: str
    timing: bool
    statistics: bool
    explain: list[str]
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

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Report arguments that are no flags of ours."""
        parts: list[str] = []
        for argument in unknown:
            name = argument.partition("=")[0]
            near = get_close_matches(name, self.spellings(), 1)
            parts.append(f"unknown argument '{argument}'")
            if near and name.startswith("-"):
                parts[-1] += f", did you mean '{near[0]}'?"
        self.error("; ".join(parts))

    def spellings(self) -> list[str]:
        """Every long spelling of every flag."""
        return [name for name in self._option_string_actions if name.startswith("--")]


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line.

    Raises: SystemExit: status 1 for a wrong flag, 0 after `--help`.
    """
    parser = _make_parser()
    known = frozenset(parser.spellings())
    flags, unknown = parser.parse_known_args(list(_normalise(argv, known)), namespace=Flags())
    if unknown:
        parser.refuse(unknown)
    return flags


def _normalise(argv: Sequence[str], known: frozenset[str]) -> Iterator[str]:
    """LLVM's one-dash spelling of long flags becomes two dashes, bare flags get their value."""
    for argument in argv:
        name, equals, value = argument.partition("=")
        if f"-{name}" in known and not name.startswith("--") and len(name) > 2:
            name = f"-{name}"
        if not equals and name in _BARE:
            equals, value = "=", _BARE[name]
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
    _add_checks(parser.add_argument_group("checks"))
    _add_printing(parser.add_argument_group("printing"))
    _add_information(parser.add_argument_group("information"))
    _add_skeletons(parser.add_argument_group("something new"))
    return parser


_Group = argparse._ArgumentGroup  # pyright: ignore[reportPrivateUsage]  (no public name for it)


def _on(group: _Group, *spellings: str, dest: str, text: str) -> None:
    group.add_argument(*spellings, dest=dest, action="store_true", help=text)


def _add_input(group: _Group) -> None:
    group.add_argument("input", nargs="?", default="-", help="a file, or - for stdin (default)")
    group.add_argument("-o", dest="output", metavar="FILE", default="-", help="write there")
    group.add_argument(
        "-f",
        "--input-format",
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


def _add_passes(group: _Group) -> None:
    group.add_argument(
        "-p",
        "--passes",
        "--pass-pipeline",
        dest="pipelines",
        action="append",
        default=[],
        metavar="PIPELINE",
        help="a,b{x=1} or builtin.module(func.func(a,b{x=1})); may be repeated",
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
        "--pass-statistics",
        "--mlir-pass-statistics",
        dest="statistics",
        text="how often each rule fired",
    )
    _on(group, "--timing", "--mlir-timing", dest="timing", text="time taken by each pass")
    _on(
        group,
        "--dump-pass-pipeline",
        dest="dump_pipeline",
        text="the pipeline as it was understood",
    )


def _add_checks(group: _Group) -> None:
    group.add_argument(
        "--verify-each",
        type=_switch,
        default=True,
        metavar="0|1",
        help="verify after each pass (default 1)",
    )
    _on(
        group,
        "--verify-diagnostics",
        dest="verify_diagnostics",
        text="compare errors with the comments `// expected-error@+1 {{...}}` of the input",
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
    _on(
        group,
        "--print-op-generic",
        "--mlir-print-op-generic",
        dest="generic",
        text="MLIR's generic form",
    )
    _on(
        group,
        "--print-debuginfo",
        "--mlir-print-debuginfo",
        dest="locations",
        text="print locations",
    )
    add_color_flag(group.add_argument)
    group.add_argument(
        "--elide-large-constants",
        "--mlir-elide-elementsattrs-if-larger",
        dest="elide",
        type=int,
        metavar="N",
        help=f"shorten constants of more than N elements (bare: {ELIDE_ELEMENTS})",
    )


def _add_information(group: _Group) -> None:
    _on(group, "--list-passes", dest="list_passes", text="every pass, with its options")
    _on(group, "--show-dialects", dest="show_dialects", text="every dialect that can be read")
    _on(group, "--list-targets", dest="list_targets", text="what -t can write")
    _on(group, "--version", dest="version", text="versions of nnc and xDSL")
    _on(group, "--debug", dest="debug", text="show Python tracebacks")


def _add_skeletons(group: _Group) -> None:
    group.add_argument("--new-pass", metavar="NAME", help="write a pass that works, and its test")
    group.add_argument(
        "--level", choices=("graph", "te", "loop"), default="graph", help="of it (default graph)"
    )
    group.add_argument("--new-dialect", metavar="NAME", help="write a dialect, and its test")
