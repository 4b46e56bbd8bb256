"""Threads in LLVM IR: waiting, the barrier, and the pool's two functions.

Whoever waits spins a bounded time and then sleeps in a futex; whoever wakes makes the system call
only when somebody sleeps. Counters that different threads write stand on different cache lines.

    barrier     0: arrived      64: generation      128: sleepers
    pool        0: function    8: frame    16: threads    24: floating-point control word
               64: done       128: whether the caller sleeps
              192: a barrier (192 bytes)
              384: for each worker a line: 0: its job number, 4: whether it sleeps
"""

from __future__ import annotations

from ...core.errors import UnsupportedError

POOL_BYTES = 384
"""Bytes of a pool before the workers' lines."""
POOL_BARRIER = 192
"""Where the pool's barrier stands."""
WORKER_BYTES = 64
PATIENCE = {"x86_64": 50_000, "aarch64": 10_000}
"""How long a thread spins before it sleeps: ticks of the time stamp counter (15 to 25 us), or
pauses where there is no cheap counter. More helps only where the shares of a kernel differ by more;
on a busy machine it keeps the processor from the thread that is waited for."""
IDLE_PATIENCE = 6
"""How many times as long a worker spins for its next job: calls follow each other more slowly."""


def barrier_text(triple: str) -> str:
    """`@nnc.barrier(ptr barrier, i64 threads)`, with what it needs, private to its module."""
    patience = PATIENCE.get(_architecture(triple), 10_000)
    return f"""{_wait_text(triple)}
define internal void @nnc.barrier(ptr %barrier, i64 %threads) nounwind noinline {{
  %generation.at = getelementptr i8, ptr %barrier, i64 64
  %sleepers.at = getelementptr i8, ptr %barrier, i64 128
  %now = load atomic i32, ptr %generation.at acquire, align 4
  %before = atomicrmw add ptr %barrier, i32 1 acq_rel
  %arrived = add i32 %before, 1
  %all = trunc i64 %threads to i32
  %last = icmp eq i32 %arrived, %all
  br i1 %last, label %open, label %wait
open:
  store atomic i32 0, ptr %barrier monotonic, align 4
  %g = atomicrmw add ptr %generation.at, i32 1 seq_cst
  call void @nnc.wake(ptr %generation.at, ptr %sleepers.at)
  ret void
wait:
  call void @nnc.wait_while(ptr %generation.at, i32 %now, ptr %sleepers.at, i64 {patience})
  ret void
}}
"""


def pool_text(triple: str) -> str:
    """`@nnc.run` for the caller, `@nnc.worker` for each thread of the pool.

    `run(pool, function, frame, threads)` calls `function(frame, tid, threads)` on this thread (tid
    0) and on workers 1 .. threads-1, and returns when all have ended. `worker(pool, tid)` serves
    until a job has no function. Workers compute with the caller's floating-point control word, so
    that results do not depend on the thread.
    """
    save, restore = _control_word(triple)
    patience = PATIENCE.get(_architecture(triple), 10_000)
    return f"""{_wait_text(triple)}
{_CONTROL_DECLARATIONS.get(_architecture(triple), "")}
define void @nnc.run(ptr %pool, ptr %function, ptr %frame, i64 %threads) nounwind {{
  %frame.at = getelementptr i8, ptr %pool, i64 8
  %threads.at = getelementptr i8, ptr %pool, i64 16
  %control.at = getelementptr i8, ptr %pool, i64 24
  %done.at = getelementptr i8, ptr %pool, i64 64
  %sleeps.at = getelementptr i8, ptr %pool, i64 128
  store ptr %function, ptr %pool, align 8
  store ptr %frame, ptr %frame.at, align 8
  store i64 %threads, ptr %threads.at, align 8
{save}
  store atomic i32 0, ptr %done.at monotonic, align 4
  br label %post
post:
  %tid = phi i64 [ 1, %0 ], [ %tid.next, %posted ]
  %more = icmp ult i64 %tid, %threads
  br i1 %more, label %posted, label %work
posted:
  %skip = mul i64 %tid, {WORKER_BYTES}
  %lines = getelementptr i8, ptr %pool, i64 {POOL_BYTES}
  %job.at = getelementptr i8, ptr %lines, i64 %skip
  %asleep.at = getelementptr i8, ptr %job.at, i64 4
  %job = atomicrmw add ptr %job.at, i32 1 seq_cst
  call void @nnc.wake(ptr %job.at, ptr %asleep.at)
  %tid.next = add i64 %tid, 1
  br label %post
work:
  %stop = icmp eq ptr %function, null
  br i1 %stop, label %end, label %share
share:
  call void %function(ptr %frame, i64 0, i64 %threads)
  %others64 = sub i64 %threads, 1
  %others = trunc i64 %others64 to i32
  br label %check
check:
  %done = load atomic i32, ptr %done.at acquire, align 4
  %complete = icmp eq i32 %done, %others
  br i1 %complete, label %end, label %wait
wait:
  call void @nnc.wait_while(ptr %done.at, i32 %done, ptr %sleeps.at, i64 {patience})
  br label %check
end:
  ret void
}}

define void @nnc.worker(ptr %pool, i64 %tid) nounwind {{
  %frame.at = getelementptr i8, ptr %pool, i64 8
  %threads.at = getelementptr i8, ptr %pool, i64 16
  %control.at = getelementptr i8, ptr %pool, i64 24
  %done.at = getelementptr i8, ptr %pool, i64 64
  %sleeps.at = getelementptr i8, ptr %pool, i64 128
  %skip = mul i64 %tid, {WORKER_BYTES}
  %lines = getelementptr i8, ptr %pool, i64 {POOL_BYTES}
  %job.at = getelementptr i8, ptr %lines, i64 %skip
  %asleep.at = getelementptr i8, ptr %job.at, i64 4
  br label %next
next:
  %seen = phi i32 [ 0, %0 ], [ %job, %work ]
  call void @nnc.wait_while(
      ptr %job.at, i32 %seen, ptr %asleep.at, i64 {IDLE_PATIENCE * patience})
  %job = load atomic i32, ptr %job.at acquire, align 4
  %function = load ptr, ptr %pool, align 8
  %stop = icmp eq ptr %function, null
  br i1 %stop, label %end, label %work
work:
  %frame = load ptr, ptr %frame.at, align 8
  %threads = load i64, ptr %threads.at, align 8
{restore}
  call void %function(ptr %frame, i64 %tid, i64 %threads)
  %d = atomicrmw add ptr %done.at, i32 1 seq_cst
  call void @nnc.wake(ptr %done.at, ptr %sleeps.at)
  br label %next
end:
  ret void
}}
"""


def _wait_text(triple: str) -> str:
    """`@nnc.wait_while(word, value, sleepers, patience)` and `@nnc.wake(word, sleepers)`.

    A sleeper announces itself before the kernel compares the word, a waker changes the word before
    it looks for sleepers, both sequentially consistent: no wake-up is lost.
    """
    pause, declaration = _pause(triple)
    sleep, wake, system = _futex(triple)
    start, elapsed = _clock(triple)
    return f"""{declaration}
{system}
define internal void @nnc.wait_while(
    ptr %word, i32 %value, ptr %sleepers, i64 %patience) nounwind noinline {{
{start}
  br label %spin
spin:
  %count = phi i64 [ 0, %0 ], [ %count.next, %again ]
  %seen = load atomic i32, ptr %word acquire, align 4
  %same = icmp eq i32 %seen, %value
  br i1 %same, label %again, label %end
again:
  {pause}
  %count.next = add i64 %count, 1
{elapsed}
  %patient = icmp ult i64 %elapsed, %patience
  br i1 %patient, label %spin, label %doze
doze:
  %up = atomicrmw add ptr %sleepers, i32 1 seq_cst
  br label %sleep
sleep:
  {sleep}
  %after = load atomic i32, ptr %word seq_cst, align 4
  %still = icmp eq i32 %after, %value
  br i1 %still, label %sleep, label %woken
woken:
  %down = atomicrmw sub ptr %sleepers, i32 1 seq_cst
  ret void
end:
  ret void
}}

define internal void @nnc.wake(ptr %word, ptr %sleepers) nounwind {{
  %count = load atomic i32, ptr %sleepers seq_cst, align 4
  %none = icmp eq i32 %count, 0
  br i1 %none, label %end, label %call
call:
  {wake}
  br label %end
end:
  ret void
}}
"""


def _architecture(triple: str) -> str:
    name = triple.partition("-")[0]
    return "aarch64" if name == "arm64" else name


def _pause(triple: str) -> tuple[str, str]:
    """(what a spinning thread does in between, its declaration)."""
    match _architecture(triple):
        case "x86_64":
            declared = "declare void @llvm.x86.sse2.pause()\ndeclare i64 @llvm.readcyclecounter()"
            return "call void @llvm.x86.sse2.pause()", declared
        case "aarch64":
            return "call void @llvm.aarch64.hint(i32 1)", "declare void @llvm.aarch64.hint(i32)"
        case other:
            raise UnsupportedError(f"threads are not supported on {other}")


def _clock(triple: str) -> tuple[str, str]:
    """(what precedes the spinning, what gives %elapsed in it)."""
    if _architecture(triple) != "x86_64":
        return "", "  %elapsed = add i64 %count.next, 0"
    read = "call i64 @llvm.readcyclecounter()"
    return f"  %start = {read}", f"  %now = {read}\n  %elapsed = sub i64 %now, %start"


_FUTEX = {"x86_64": 202, "aarch64": 98}
"""The system call's number on Linux."""
_WAIT_PRIVATE, _WAKE_PRIVATE = 128, 129


def _futex(triple: str) -> tuple[str, str, str]:
    """(sleep while the word has the value, wake all, declaration).

    Elsewhere than on Linux a sleeper yields its processor and looks again.
    """
    if "linux" not in triple:
        return "%y = call i32 @sched_yield()", "", "declare i32 @sched_yield()"
    call = f"call i64 (i64, ...) @syscall(i64 {_FUTEX[_architecture(triple)]}, ptr %word"
    return (
        f"%y = {call}, i64 {_WAIT_PRIVATE}, i32 %value, ptr null, ptr null, i64 0)",
        f"%y = {call}, i64 {_WAKE_PRIVATE}, i64 2147483647, ptr null, ptr null, i64 0)",
        "declare i64 @syscall(i64, ...)",
    )


_CONTROL_DECLARATIONS = {
    "x86_64": "declare void @llvm.x86.sse.stmxcsr(ptr)\ndeclare void @llvm.x86.sse.ldmxcsr(ptr)"
}


def _control_word(triple: str) -> tuple[str, str]:
    """(save the control word to %control.at, take it from there)."""
    if _architecture(triple) == "x86_64":
        return (
            "  call void @llvm.x86.sse.stmxcsr(ptr %control.at)",
            "  call void @llvm.x86.sse.ldmxcsr(ptr %control.at)",
        )
    return (
        '  %fpcr = call i64 asm sideeffect "mrs $0, fpcr", "=r"()\n'
        "  store i64 %fpcr, ptr %control.at, align 8",
        "  %fpcr = load i64, ptr %control.at, align 8\n"
        '  call void asm sideeffect "msr fpcr, $0", "r"(i64 %fpcr)',
    )
