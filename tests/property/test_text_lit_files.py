"""Every lit file says the same after printing and parsing, pretty and generic, ours and xDSL's."""

import re
from pathlib import Path

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.utils.exceptions import ParseError, VerifyException

from nnc.dialects import context
from nnc.textir import parse, print_module
from nnc.textir.equality import equal
from nnc.textir.errors import ParseTextError

LIT = Path(__file__).parents[1] / "lit"
FILES = sorted(path for path in LIT.rglob("*.nn") if "Inputs" not in path.parts)


def sections(path: Path) -> list[str]:
    return re.split(r"^// -----\n", path.read_text(), flags=re.M)


def parsed(path: Path) -> list[ModuleOp]:
    """Modules of the sections that are texts of ours; others are there to be refused."""
    found: list[ModuleOp] = []
    needs_more = re.search(r"RUN:.*(\bnot\b|nnc |--load-plugin)", path.read_text()) is not None
    for section in sections(path):
        try:
            found.append(parse(section, str(path)))
        except ParseTextError:
            if "expected-error" not in section and not needs_more:
                raise
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(LIT)))
def test_round_trip(path: Path) -> None:
    for module in parsed(path):
        for generic in (False, True):
            text = print_module(module, generic=generic)
            assert equal(module, parse(text)) is None, text


def test_xdsl_agrees_on_the_generic_form() -> None:
    checked = 0
    for path in FILES:
        for module in parsed(path):
            text = print_module(module, generic=True)
            if re.search(r"\\[0-9A-F]{2}", text):
                continue  # a string with such an escape is bytes to xDSL
            try:
                other = Parser(context(), text).parse_module()
            except (VerifyException, ParseError):
                # xDSL verifies while it parses, and some files are there to be refused
                if path.name != "invalid.nn" and "refused" not in path.name:
                    raise
                continue
            assert equal(module, other) is None, f"{path}\n{text}"
            checked += 1
    assert checked > len(FILES) // 2
