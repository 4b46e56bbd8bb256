"""The documentation's site is built without a warning, and its reference leaves nothing out."""

import subprocess
import sys
from pathlib import Path

from nnc.dialects import DIALECTS
from nnc.lowering import CONVERSIONS
from nnc.passes import PASSES
from nnc.schedules import PASSES as SCHEDULE_PASSES

ROOT = Path(__file__).parents[2]


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
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / "site" / f"{page.stem}.html").exists()
