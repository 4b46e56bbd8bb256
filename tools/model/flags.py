"""The flags of nnc. Nothing here imports the compiler: `--help` is quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from ..arguments import Parser, finite, whole
from ..terminal import add_color_flag

LEVELS = ("graph", "te", "sched", "loop", "llvm", "asm", "obj")


class Flags(argparse.Namespace):
    """What the command line says."""

    command: Callable[[Flags], int | None]
    model: str
    shapes: list[tuple[str, tuple[int, ...]]]
    inputs: list[str]
    output: str | None = None
    threads: int | None
    target: str
    numerics: str
    seed: int
    timing: bool
    color: str
    debug: bool
    plugins: list[str]
    interpret: bool = False
    print_schedules: bool
    schedule: str | None
    schedules: str | None
    emit: str
    against: str | None
    profile: str | None
    html: str | None = None
    svg: str | None = None
    rounds: int
    passes: str | None
    tolerance: float | None


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"nnc {version('nnc-compiler')}")
        parser.exit()


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`name=1x3x224x224` as a name and extents; `name=` is a scalar."""
    name, equals, extents = text.rpartition("=")
    parts = extents.split("x") if extents else []
    if not equals or not name or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"expected NAME=1x3x224x224, got '{text}'")
    return name, tuple(map(int, parts))


def _lazy(name: str) -> Callable[[Flags], int | None]:
    def run(flags: Flags) -> int | None:
        return import_module(f".{name}", __package__).run(flags)

    return run


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line; ends the process on a wrong one."""
    parser = Parser(prog="nnc", description="Compile, run, look into and time models.")
    parser.add_argument("--version", action=_Version, nargs=0, help="the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands.add_parser("run", help="run a model on arrays"))
    _add_inspect(commands.add_parser("inspect", help="what a model is made of"))
    _add_compile(commands.add_parser("compile", help="write what a model is at one level"))
    _add_bench(commands.add_parser("bench", help="time a model, alone or against another runtime"))
    _add_bisect(commands.add_parser("bisect", help="which pass makes a result wrong, and where"))
    _add_ops(commands.add_parser("ops", help="the operators that are supported"))
    return parser.parse_args(argv, Flags())


def _add_common(parser: argparse.ArgumentParser, command: str) -> None:
    parser.set_defaults(command=_lazy(command))
    parser.add_argument("model", metavar="MODEL", help="an ONNX file, or a text of ours (.nn)")
    parser.add_argument(
        "--shape",
        dest="shapes",
        type=shape,
        action="append",
        default=[],
        metavar="NAME=1x3x224x224",
        help="extents of an input that the model leaves open (repeatable)",
    )
    parser.add_argument("--target", default="cpu", help="cpu (default), x86-64-v3, ...")
    parser.add_argument("--numerics", default="fast", choices=("fast", "strict"))
    parser.add_argument("--threads", type=whole(1), metavar="N", help="default: all processors")
    parser.add_argument(
        "--schedules", metavar="FILE", help="a text of sched.schedule ops: use these instead"
    )
    parser.add_argument("--timing", action="store_true", help="where the compile time goes")
    _add_general(parser)


def _add_general(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--load-plugin",
        dest="plugins",
        action="append",
        default=[],
        metavar="FILE.py|MODULE",
        help="operators, passes, schedules, targets, formats (docs/extending.md); repeatable",
    )
    add_color_flag(parser.add_argument)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, "run")
    _add_arrays(parser)
    parser.add_argument("-o", "--output", metavar="FILE.npz", help="write the outputs, by name")
    parser.add_argument(
        "--interpret", action="store_true", help="compute with the reference, slowly: no compiler"
    )


def _add_arrays(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input",
        dest="inputs",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="NAME=FILE.npy, or FILE.npz with arrays by name (repeatable); random without",
    )
    parser.add_argument("--seed", type=whole(0), default=0, help="of random inputs (default 0)")


def _add_bisect(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, "bisect")
    _add_arrays(parser)
    parser.add_argument(
        "--against",
        metavar="reference|onnxruntime|FILE.npz",
        help="what is right: our reference (default), onnxruntime, or recorded outputs by name",
    )
    parser.add_argument(
        "-p", "--passes", metavar="PIPELINE", help="instead of what nnc compiles models with"
    )
    parser.add_argument(
        "--tolerance",
        type=finite("a part, as 1e-4", zero=True),
        metavar="R",
        help="allowed error, as a part of the largest element; default: a multiple of the distance "
        "between float32 and float64",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE.nn", help="the reproducer (default MODEL.bisect.nn)"
    )


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, "inspect")
    parser.add_argument(
        "--print-schedules",
        action="store_true",
        help="print each kernel's schedule, as --schedules takes it",
    )
    parser.add_argument(
        "--schedule", metavar="KERNEL", help="print the schedule of one kernel, and nothing else"
    )
    parser.add_argument(
        "--html", metavar="FILE", help="write a page: the network, every kernel at every level"
    )
    parser.add_argument("--svg", metavar="FILE", help="write a picture of the network")
    parser.add_argument(
        "--profile",
        nargs="?",
        const="",
        metavar="FILE",
        help="times in page and picture: of this machine now, or what `nnc bench --profile` wrote",
    )


def _add_compile(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, "compile")
    parser.add_argument("--emit", choices=LEVELS, default="obj", help="the level (default obj)")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: stdout")


def _add_bench(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, "bench")
    parser.add_argument("--against", choices=("onnxruntime",), help="another runtime to time")
    parser.add_argument(
        "--profile",
        action="store_const",
        const="",
        help="time every kernel by itself, on one thread",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the profile, as JSON")
    parser.add_argument("--rounds", type=whole(1), default=20, help="interleaved (default 20)")
    parser.add_argument("--seed", type=whole(0), default=0, help="of the random inputs (default 0)")


def _add_ops(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_lazy("ops"))
    _add_general(parser)
