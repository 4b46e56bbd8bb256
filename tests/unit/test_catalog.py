"""Every catalogue entry can be loaded, is called what its file is called, and has a lit test."""

import inspect
import re
import sys
from pathlib import Path

import pytest
from xdsl.ir import Dialect, Operation
from xdsl.passes import ModulePass
from xdsl.utils.target import Target

from nnc.core.catalog import constant, lazy, merge
from nnc.core.errors import NncError
from nnc.dialects import DIALECTS
from nnc.lowering import CONVERSIONS, TARGETS
from nnc.passes import PASSES
from nnc.schedules import PASSES as SCHEDULE_PASSES
from nnc.schedules.primitives.table import PRIMITIVES
from nnc.schedules.replay import Schedule

LIT = Path(__file__).parents[1] / "lit"
FOLDERS = {"passes": PASSES, "lowering": CONVERSIONS, "schedules": SCHEDULE_PASSES}
ENTRIES = [(folder, flag) for folder, catalog in FOLDERS.items() for flag in catalog]


def load(folder: str, flag: str) -> type[ModulePass]:
    return FOLDERS[folder][flag]()


@pytest.mark.parametrize(("folder", "flag"), ENTRIES)
def test_a_pass_is_called_what_its_file_is_called(folder: str, flag: str) -> None:
    class_ = load(folder, flag)
    assert issubclass(class_, ModulePass)
    assert class_.name == flag
    assert flag.replace("-", "_") in class_.__module__.split("."), class_.__module__


@pytest.mark.parametrize(("folder", "flag"), ENTRIES)
def test_a_pass_says_what_it_does(folder: str, flag: str) -> None:
    class_ = load(folder, flag)
    own = class_.__dict__.get("__doc__") or ""
    assert own, f"{class_.__name__} has no docstring: nn-opt --list-passes shows its first line"
    assert not own.startswith(f"{class_.__name__}("), "the docstring is the one of dataclass"
    module = inspect.getdoc(sys.modules[class_.__module__]) or ""
    assert "->" in own + module, f"no before -> after in {class_.__module__}"


@pytest.mark.parametrize(("folder", "flag"), ENTRIES)
def test_a_pass_has_a_lit_test_of_its_name(folder: str, flag: str) -> None:
    tests = list((LIT / folder).rglob(f"{flag}.nn"))
    assert len(tests) == 1, f"expected one tests/lit/{folder}/**/{flag}.nn, found {len(tests)}"
    text = tests[0].read_text()
    assert flag in text.partition("\n\n")[0] or f" {flag}" in text, f"{tests[0]} does not run it"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_lit_file_in_a_mirrored_folder_tests_something(folder: str) -> None:
    for path in (LIT / folder).rglob("*.nn"):
        if "Inputs" not in path.parts:
            assert "RUN:" in path.read_text(), f"{path} has no RUN line"


@pytest.mark.parametrize("op", PRIMITIVES)
def test_a_primitive_has_a_method_lit_tests_and_a_page(op: type[Operation]) -> None:
    mnemonic = op.name.partition(".")[2]
    assert hasattr(Schedule, mnemonic)
    assert (PRIMITIVES[op].__doc__ or "").strip()
    for suffix in ("", "-refused"):
        path = LIT / "schedules" / f"{mnemonic.replace('_', '-')}{suffix}.nn"
        used = re.search(rf"^(sched.*{{)? +{mnemonic} ", path.read_text(), re.M)
        assert used, f"{path} does not use it"
    page = (LIT.parents[1] / "docs" / "schedules.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert any(mnemonic in line.removeprefix("## ").split(", ") for line in headings)


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects_load(name: str) -> None:
    dialect = DIALECTS[name]()
    assert isinstance(dialect, Dialect)
    assert dialect.name == name
    for op in dialect.operations:
        assert op.name.startswith(f"{name}."), op.name
        assert op.__dict__.get("__doc__"), f"{op.__name__} has no docstring"


@pytest.mark.parametrize("name", TARGETS)
def test_targets_load(name: str) -> None:
    class_ = TARGETS[name]()
    assert issubclass(class_, Target)
    assert class_.name == name


def test_xdsl_opt_knows_ours_without_a_clash() -> None:
    from xdsl.universe import Universe

    universe = Universe.get_multiverse()
    assert set(DIALECTS) <= universe.all_dialects.keys()
    assert {*PASSES, *CONVERSIONS, *SCHEDULE_PASSES} <= universe.all_passes.keys()


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    catalog = lazy("nnc", {"missing": "no_such_module:Thing"})
    with pytest.raises(ModuleNotFoundError):
        catalog["missing"]()


def test_a_clash_names_both_owners() -> None:
    owners = [("nnc", {"cse": constant(1)}), ("plug-in my.py", {"cse": constant(2)})]
    with pytest.raises(NncError, match=r"both nnc and plug-in my\.py"):
        merge("pass", owners)
