"""What a user sees while a module becomes smaller: a bar on a terminal, lines when piped."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from .session import Progress as State
from .session import Session, num_operations


@contextmanager
def shown(session: Session) -> Generator[None]:
    """Show a session's progress on stderr while the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        session.tell = _Lines(console, num_operations(session.best))
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=session.limit)

        def tell(state: State) -> None:
            text = f"{state.operations} operations, {state.move}"
            bar.update(task, completed=state.trials, description=text)

        session.tell = tell
        yield


class _Lines:
    """One line whenever the module has become smaller."""

    def __init__(self, console: Console, smallest: int):
        self.console, self.smallest = console, smallest

    def __call__(self, state: State) -> None:
        if state.operations >= self.smallest:
            return
        self.smallest = state.operations
        text = f"trial {state.trials}: {state.operations} operations ({state.move})"
        self.console.print(text, highlight=False, soft_wrap=True)
