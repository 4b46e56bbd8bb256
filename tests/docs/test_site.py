"""The documentation's site is built without a warning, and its reference leaves nothing out."""

import re
import subprocess
import sys
from pathlib import Path

from nnc.dialects import DIALECTS
from nnc.lowering import CONVERSIONS
from nnc.passes import PASSES
from nnc.schedules import PASSES as SCHEDULE_PASSES
from nnc.schedules.primitives.table import PRIMITIVES

ROOT = Path(__file__).parents[2]


def sections(page: str, heading: str) -> dict[str, str]:
    """The text below each heading of a level."""
    parts = re.split(rf"^{heading}(.*)\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def assert_before_and_after(section: str, name: str) -> None:
    """Two modules that differ, from a lit test (site_pages/examples.py)."""
    found = re.findall(r"```nn\n(.*?)\n```", section, re.DOTALL)
    assert "After `-p " in section, f"{name}: it changes no case of its lit test by itself"
    before, after = found[-2:]
    assert before != after


def test_the_site_is_built_and_its_reference_is_complete(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d"]
    done = subprocess.run(
        [*command, str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = {path.stem: path.read_text() for path in (tmp_path / "site/reference").glob("*.html")}
    for name, load in DIALECTS.items():
        for op in load().operations:
            assert f">{op.name}<" in pages[f"ops-{name}"], op.name
    for name in (*PASSES, *CONVERSIONS, *SCHEDULE_PASSES):
        assert f'id="{name}"' in pages["passes"], name
    shown = sections((ROOT / "docs/reference/passes.md").read_text(), "### ")
    for name in (*PASSES, *CONVERSIONS, *SCHEDULE_PASSES):
        assert_before_and_after(shown[f"`{name}`"], name)
    shown = sections((ROOT / "docs/reference/ops-sched.md").read_text(), "## ")
    for op in PRIMITIVES:
        assert_before_and_after(shown[f"`{op.name}`"], op.name)
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / "site" / f"{page.stem}.html").exists()
