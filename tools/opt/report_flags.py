"""The flags of nn-opt about reports, reproducers and debug counters."""

from __future__ import annotations

import argparse

Group = argparse._ArgumentGroup  # pyright: ignore[reportPrivateUsage]  (no public name for it)


def on(group: Group, *spellings: str, dest: str, text: str) -> None:
    """Add a flag that is on where it is given."""
    group.add_argument(*spellings, dest=dest, action="store_true", help=text)


def add_reports(group: Group) -> None:
    """What passes counted, and how long they took."""
    on(
        group,
        "--pass-statistics",
        "--mlir-pass-statistics",
        dest="statistics",
        text="what each pass counted: how often its rules fired",
    )
    on(group, "--timing", "--mlir-timing", dest="timing", text="time taken by each stage")
    for name, first in (("timing", "tree"), ("pass-statistics", "pipeline")):
        group.add_argument(
            f"--{name}-display",
            f"--mlir-{name}-display",
            dest=f"{name.removeprefix('pass-')}_display",
            choices=(first, "list"),
            default=first,
            help=f"how they are shown (default {first})",
        )
    group.add_argument(
        "--output-format",
        "--mlir-output-format",
        choices=("text", "json"),
        default="text",
        help="of times and statistics; json: each report on one line",
    )


def add_reproducers(group: Group) -> None:
    """A file that shows a failure, and single changes that are left out."""
    group.add_argument(
        "--pass-pipeline-crash-reproducer",
        "--mlir-pass-pipeline-crash-reproducer",
        dest="crash_reproducer",
        metavar="FILE",
        help="after a failure leave the IR before the pipeline there, and the pipeline",
    )
    on(
        group,
        "--pass-pipeline-local-reproducer",
        "--mlir-pass-pipeline-local-reproducer",
        dest="local_reproducer",
        text="... the IR right before the pass that failed, and that pass alone",
    )
    group.add_argument(
        "--generate-reproducer",
        "--mlir-generate-reproducer",
        dest="generate_reproducer",
        metavar="FILE",
        help="write a reproducer whether or not anything fails",
    )
    on(
        group,
        "--run-reproducer",
        dest="run_reproducer",
        text="run the pipeline that the input carries",
    )
    group.add_argument(
        "--debug-counter",
        "--mlir-debug-counter",
        dest="debug_counters",
        action="append",
        default=[],
        metavar="NAME=SKIP:COUNT,...",
        help="of the changes of a pass or rule (`change`: of all) leave out SKIP, make COUNT",
    )
    on(
        group,
        "--print-debug-counter",
        "--mlir-print-debug-counter",
        dest="print_debug_counter",
        text="how often each debug counter was asked",
    )
