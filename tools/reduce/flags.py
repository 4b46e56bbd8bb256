"""The flags of nn-reduce. Nothing here imports xDSL: `--help` is quick."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..arguments import Parser, finite, whole


class Flags(argparse.Namespace):
    """What the command line says."""

    input: str
    format: str
    test: str
    output_matches: str | None
    output: str
    max_trials: int
    timeout: float
    times_out: bool
    repeat: int
    isolate: bool
    plugins: list[str]
    debug: bool


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line; ends the process on a wrong one."""
    parser = Parser(
        prog="nn-reduce",
        description="Make a module smaller while a command keeps failing on it.",
    )
    parser.add_argument("input", metavar="FILE", help="a text of ours (weights beside it)")
    parser.add_argument(
        "-f", "--input-format", dest="format", default="nn", metavar="FORMAT", help="nn, or onnx"
    )
    parser.add_argument(
        "--test",
        required=True,
        metavar="COMMAND",
        help="run on every candidate; %%s is its file (else the last argument). It fails with an "
        "exit status other than 0",
    )
    failing = parser.add_mutually_exclusive_group()
    failing.add_argument(
        "--output-matches",
        metavar="REGEX",
        help="failing means that the command's output holds this, whatever its exit status",
    )
    failing.add_argument(
        "--times-out",
        action="store_true",
        help="failing means that the command takes longer than --timeout",
    )
    parser.add_argument("-o", dest="output", default="-", metavar="FILE", help="default: stdout")
    parser.add_argument(
        "--max-trials", type=whole(1), default=2000, metavar="N", help="default 2000"
    )
    parser.add_argument(
        "--timeout",
        type=finite("a number of seconds", zero=False),
        default=60.0,
        metavar="S",
        help="of one trial (default 60); what takes longer did not fail, unless --times-out",
    )
    parser.add_argument(
        "--repeat",
        type=whole(1),
        default=1,
        metavar="N",
        help="for a test that fails now and then: what does not fail is tried N times",
    )
    parser.add_argument(
        "--isolate",
        action="store_true",
        help="run nn-opt and nnc as processes: slower, and a crash of Python itself is survived",
    )
    parser.add_argument(
        "--load-plugin",
        dest="plugins",
        action="append",
        default=[],
        metavar="FILE.py",
        help="dialects and syntax that the text needs",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser.parse_args(argv, Flags())
