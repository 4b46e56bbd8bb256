"""The entry function: one call runs a whole segment of the model on all threads.

    define void @entry(ptr %frame, i64 %tid, i64 %threads)

`%frame` is a table of pointers: the arena, the scratch memory, the barrier, then the slots, which
are constants, inputs and outputs. Every thread runs the same plan on its own share of each
parallel loop. The shares depend on the number of threads alone, and a loop's points do not depend
on who runs them, so the results are the same for every number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.program import ARENA, BARRIER, SCRATCH
from .launch import Launch, Place, must_wait


def emit_entry(symbol: str, launches: Sequence[Launch], scratch_stride: int) -> str:
    """LLVM IR text of the entry function `symbol`, without the barrier's definition.

    Args:
        symbol: its name.
        launches: in order; those with nothing to do are left out.
        scratch_stride: bytes of scratch memory of one thread.
    """
    launches = [launch for launch in launches if launch.extent > 0]
    lines = [f'define void @"{symbol}"(ptr %frame, i64 %tid, i64 %threads) nounwind {{', "top:"]
    lines += _addresses(launches, scratch_stride)
    lines += ["  %single = icmp eq i64 %threads, 1", "  br i1 %single, label %one, label %all"]
    lines += ["one:"]
    for launch in launches:
        lines.append(_call(launch, "0", str(launch.extent)))
    lines += ["  ret void", "all:"]
    lines += _shares(launches)
    lines += _parallel(launches)
    lines += ["  ret void", "}", ""]
    declarations = {
        f'declare void @"{launch.symbol}"({", ".join(["ptr"] * _num_pointers(launch))}, i64, i64)'
        for launch in launches
    }
    return "\n".join([*sorted(declarations), "", *lines])


def _num_pointers(launch: Launch) -> int:
    return len(launch.reads) + len(launch.writes) + 1


def _addresses(launches: Sequence[Launch], scratch_stride: int) -> list[str]:
    """Every pointer that a launch takes, computed once."""
    places = {place for launch in launches for place in (*launch.reads, *launch.writes)}
    slots = sorted({place.slot for place in places} | {ARENA, SCRATCH, BARRIER})
    lines: list[str] = []
    for slot in slots:
        lines.append(f"  %f{slot} = getelementptr inbounds ptr, ptr %frame, i64 {slot}")
        lines.append(f"  %s{slot} = load ptr, ptr %f{slot}, align 8")
    for slot, offset in sorted({(place.slot, place.offset) for place in places}):
        lines.append(f"  %s{slot}.{offset} = getelementptr i8, ptr %s{slot}, i64 {offset}")
    lines.append(f"  %mine = mul i64 %tid, {scratch_stride}")
    lines.append(f"  %scratch = getelementptr i8, ptr %s{SCRATCH}, i64 %mine")
    return lines


def _shares(launches: Sequence[Launch]) -> list[str]:
    """This thread's range of every extent: the first threads take what does not divide."""
    lines = ["  %round = sub i64 %threads, 1", "  %next = add i64 %tid, 1"]
    for extent in sorted({launch.extent for launch in launches if not launch.on_first_thread}):
        for end, thread in (("lo", "%tid"), ("hi", "%next")):
            name = f"%{end}{extent}"
            lines.append(f"  {name}.p = mul i64 {thread}, {extent}")
            lines.append(f"  {name}.r = add i64 {name}.p, %round")
            lines.append(f"  {name} = udiv i64 {name}.r, %threads")
        lines.append(f"  %some{extent} = icmp ult i64 %lo{extent}, %hi{extent}")
    lines.append("  %first = icmp eq i64 %tid, 0")
    return lines


def _parallel(launches: Sequence[Launch]) -> list[str]:
    lines: list[str] = []
    since: list[Launch] = []
    for number, launch in enumerate(launches):
        if must_wait(launch, since):
            lines.append(f"  call void @nnc.barrier(ptr %s{BARRIER}, i64 %threads)")
            since = []
        since.append(launch)
        mine = "%first" if launch.on_first_thread else f"%some{launch.extent}"
        low, high = f"%lo{launch.extent}", f"%hi{launch.extent}"
        if launch.on_first_thread:
            low, high = "0", str(launch.extent)
        lines.append(f"  br i1 {mine}, label %run{number}, label %past{number}")
        lines.append(f"run{number}:")
        lines.append(_call(launch, low, high))
        lines.append(f"  br label %past{number}")
        lines.append(f"past{number}:")
    return lines


def _call(launch: Launch, low: str, high: str) -> str:
    pointers = [f"ptr {_pointer(place)}" for place in (*launch.reads, *launch.writes)]
    arguments = ", ".join([*pointers, "ptr %scratch", f"i64 {low}", f"i64 {high}"])
    comment = " ".join(launch.where.split())
    return f'  call void @"{launch.symbol}"({arguments})' + (f" ; {comment}" if comment else "")


def _pointer(place: Place) -> str:
    return f"%s{place.slot}.{place.offset}"
