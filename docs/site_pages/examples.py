"""Before and after, for every pass and primitive: a case of its lit test, run as the site is made.

A lit test holds cases, each with a sentence above it, and RUN lines. The example is the first case
that the pass changes; passes that stand before it in the RUN line have run in `before`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnc.core.testing import call, run_lines
from nnc.tools import nn_opt
from nnc.tools.opt.pipeline import Step, build, render
from nnc.tools.opt.registry import Registry
from nnc.tools.opt.registry import load as load_registry

ROOT = Path(__file__).parents[2]
LIT = ROOT / "tests" / "lit"
APPLY = "apply-schedules"
DIRECTIVE = re.compile(r"// *(?:[A-Z][\w-]*:|-----)")
"""What RUN lines, checks and separators begin with, and sentences do not."""


@dataclass(frozen=True)
class Example:
    """One case.

    Attributes:
        says: the sentences above it.
        test: the file that it comes from, as from the root of the repository.
        before: what goes into the pass.
        command: the pass with its options, as `-p` takes it.
        after: what comes out.
    """

    says: str
    test: str
    before: str
    command: str
    after: str


def of_pass(name: str) -> Example | None:
    """The example of a pass, by its flag; `None` if its test has none."""
    return next(
        (found for path in LIT.glob(f"*/{name}.nn") for found in _examples(path, name)), None
    )


def of_primitive(mnemonic: str) -> Example | None:
    """The example of a primitive of schedules: a nest with its schedule, then scheduled."""
    path = LIT / "schedules" / f"{mnemonic.replace('_', '-')}.nn"
    uses = re.compile(rf"^(?:sched.*\{{)? *{mnemonic}\b", re.MULTILINE)
    found = _examples(path, APPLY) if path.exists() else iter(())
    return next((each for each in found if uses.search(each.before)), None)


def _examples(path: Path, name: str) -> Iterator[Example]:
    text = path.read_text()
    test = path.relative_to(ROOT).as_posix()
    registry = load_registry()
    for steps in _pipelines(text, path, registry):
        for at, step in enumerate(steps):
            if step.flag != name:
                continue
            for says, code in _cases(text):
                before = _run(code, steps[:at])
                after = None if before is None else _run(before, [step])
                if before is not None and after is not None and before != after:
                    command = step.text.replace(f"{ROOT}/", "").replace('"', "")
                    yield Example(says, test, before, command, after)


def _pipelines(text: str, path: Path, registry: Registry) -> Iterator[list[Step]]:
    """What the RUN lines of a test run, those that expect an error left out."""
    for line in run_lines(text):
        words = shlex.split(line.replace("%S", str(path.parent)).partition("|")[0])
        if words[0] != "not" and "-p" in words:
            yield build([words[words.index("-p") + 1]], registry)


def _cases(text: str) -> Iterator[tuple[str, str]]:
    """The sentences and the code of each case."""
    for part in re.split(r"\n// -----.*\n|\n\n(?=// )", text):
        lines = [line for line in part.split("\n") if not DIRECTIVE.match(line.strip())]
        says = [line[2:].strip() for line in lines if line.startswith("//")]
        code = "\n".join(line for line in lines if not line.lstrip().startswith("//")).strip()
        if code:
            yield " ".join(says), f"{code}\n"


def _run(code: str, steps: list[Step]) -> str | None:
    """A module after passes, as text; `None` where it is refused."""
    outcome = call(nn_opt.main, ["-p", render(steps)], code.encode())
    return outcome.out.decode() if outcome.status == 0 else None
