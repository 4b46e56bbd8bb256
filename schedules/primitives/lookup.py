"""Finding loops, computes and buffers of a kernel by name; unknown names get a suggestion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from xdsl.ir import Block, Operation, SSAValue

from ...core.errors import ScheduleError, did_you_mean
from ...core.names import fresh
from ...dialects.loop import AllocOp, ForOp, KernelOp, StmtOp


def loops_of(kernel: KernelOp) -> list[ForOp]:
    """All loops of the kernel, in the order of the text."""
    return [op for op in nest_ops(kernel) if isinstance(op, ForOp)]


def stmts_in(op: Operation | KernelOp) -> list[StmtOp]:
    """All statements inside `op` (or `op` itself), in the order of the text."""
    return [inner for inner in nest_ops(op) if isinstance(inner, StmtOp)]


def nest_ops(op: Operation) -> Iterator[Operation]:
    """`op` and the ops inside it, in the order of the text, but for those of statements' bodies."""
    stack = [op]
    while stack:
        current = stack.pop()
        yield current
        if isinstance(current, ForOp | KernelOp):
            stack += reversed(list(current.body.block.ops))


def find_loop(kernel: KernelOp, name: str) -> ForOp:
    """The loop called `name`.

    Raises: ScheduleError: there is none; says what became of it, or which name is near.
    """
    loops = {loop.loop_name.data: loop for loop in loops_of(kernel)}
    if name in loops:
        return loops[name]
    if heirs := [other for other in loops if _comes_from(other, name)]:
        raise ScheduleError(f"loop '{name}' has been consumed", hint=f"it is now {listing(heirs)}")
    raise ScheduleError(f"no loop '{name}'", hint=suggestion(name, loops))


def _comes_from(other: str, name: str) -> bool:
    """Whether loop `other` was made from `name`: split, partitioned, or fused."""
    if other.startswith(f"{name}."):
        return True
    stem, _, last = name.rpartition(".")
    return any(
        last in part.split("_") and "_" in part and other.startswith(f"{stem}.")
        for part in other.removeprefix(f"{stem}.").split(".")
    )


def find_stmts(kernel: KernelOp, symbol: str) -> list[StmtOp]:
    """The statements of the compute @symbol: one, or one for each part of its nest.

    Raises: ScheduleError: there is none.
    """
    stmts = stmts_in(kernel)
    found = [stmt for stmt in stmts if stmt.sym_name.data == symbol]
    if not found:
        names = {stmt.sym_name.data for stmt in stmts}
        raise ScheduleError(f"no compute '{symbol}'", hint=suggestion(symbol, names))
    return found


def find_stmt(kernel: KernelOp, symbol: str, primitive: str) -> StmtOp:
    """The one statement of the compute @symbol.

    Raises: ScheduleError: there is none, or its nest has been cut into parts.
    """
    found = find_stmts(kernel, symbol)
    if len(found) > 1:
        raise ScheduleError(
            f"{primitive}: the nest of '{symbol}' has been cut into {len(found)} parts",
            hint=f"{primitive} before partition or a peeling split",
        )
    return found[0]


def find_buffer(kernel: KernelOp, name: str) -> SSAValue:
    """The buffer called `name`: an argument, or what the compute of that name writes.

    Raises: ScheduleError: there is none, or the compute writes several.
    """
    arguments = {
        arg_name.data: argument
        for arg_name, argument in zip(kernel.arg_names, kernel.body.block.args, strict=True)
    }
    if name in arguments:
        return arguments[name]
    for stmt in stmts_in(kernel):
        if stmt.sym_name.data == name and len(stmt.outs) == 1:
            return stmt.outs[0]
        for position, out in enumerate(stmt.outs):
            if name == f"{stmt.sym_name.data}_r{position}":
                return out
    names = {*arguments, *(stmt.sym_name.data for stmt in stmts_in(kernel))}
    raise ScheduleError(f"no buffer '{name}'", hint=suggestion(name, names))


def require_sole_writer(stmt: StmtOp, primitive: str) -> None:
    """Raises: ScheduleError: another compute writes the same buffer (the state of a scan)."""
    for out in stmt.outs:
        for use in out.uses:
            user = use.operation
            if isinstance(user, StmtOp) and user is not stmt and out in tuple(user.outs):
                raise ScheduleError(
                    f"{primitive}: '{stmt.sym_name.data}' shares its buffer with "
                    f"@{user.sym_name.data}, which writes it too"
                )


def require_alone(root: Operation, stmt: StmtOp, primitive: str) -> None:
    """Raises: ScheduleError: another compute has been moved into the nest."""
    for other in stmts_in(root):
        if other is not stmt:
            raise ScheduleError(
                f"{primitive}: the nest of '{stmt.sym_name.data}' holds that of "
                f"'{other.sym_name.data}'",
                hint=f"{primitive} first, then compute_at {other.sym_name.data}",
            )


def find_alloc(buffer: SSAValue, name: str, primitive: str) -> AllocOp:
    """The `loop.alloc` of a buffer.

    Raises: ScheduleError: the buffer is an argument of the kernel.
    """
    if isinstance(buffer.owner, Block):
        raise ScheduleError(
            f"{primitive}: '{name}' is written to an argument of the kernel",
            hint=f"cache_write {name} gives it a buffer of its own",
        )
    assert isinstance(buffer.owner, AllocOp)
    return buffer.owner


def buffer_name(kernel: KernelOp, buffer: SSAValue) -> str:
    """What a user calls a buffer."""
    for name, argument in zip(kernel.arg_names, kernel.body.block.args, strict=True):
        if argument is buffer:
            return name.data
    for stmt in stmts_in(kernel):
        for position, out in enumerate(stmt.outs):
            if out is buffer:
                suffix = f"_r{position}" if len(stmt.outs) > 1 else ""
                return f"{stmt.sym_name.data}{suffix}"
    return buffer.name_hint or "a buffer"


def owner_of(kernel: KernelOp, loop: ForOp) -> str:
    """The compute that a loop's name belongs to: the longest symbol it starts with."""
    return _owner(loop.loop_name.data, {stmt.sym_name.data for stmt in stmts_in(kernel)})


def _owner(loop: str, symbols: Iterable[str]) -> str:
    owners = [symbol for symbol in symbols if loop.startswith(f"{symbol}.")]
    return max(owners, key=len, default="")


def nest_root(kernel: KernelOp, stmt: StmtOp) -> Operation:
    """The outermost loop of a statement's own nest; the statement where it has no loops."""
    root: Operation = stmt
    parent = stmt.parent_op()
    symbol = stmt.sym_name.data
    symbols = {other.sym_name.data for other in stmts_in(kernel)}
    while isinstance(parent, ForOp) and _owner(parent.loop_name.data, symbols) == symbol:
        root, parent = parent, parent.parent_op()
    return root


def fresh_symbol(kernel: KernelOp, name: str) -> str:
    """`name`, or with a number where a compute has that name."""
    return fresh(name, {stmt.sym_name.data for stmt in stmts_in(kernel)})


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) <= 1:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name."""
    ordered = sorted(known)
    others = f"known: {', '.join(ordered)}" if ordered else "the kernel has none"
    return did_you_mean(name, ordered) or others
