"""Results as JSON, table, Markdown, picture and part of a page."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from measure.picture import picture
from measure.results import Result, Run
from measure.session import Contest, Outcome
from measure.table import (
    BEGIN,
    END,
    cells,
    failures,
    group_means,
    markdown,
    put_into_page,
    systems_of,
    terminal_table,
)
from rich.console import Console

from nnc.core.errors import InputError

SVG = "{http://www.w3.org/2000/svg}"


def outcome(*milliseconds: float, difference: float | None = 1e-6) -> Outcome:
    latencies = [ms / 1e3 for ms in milliseconds]
    return Outcome(None, 0.5, latencies, 0.9 * min(latencies), difference)


def result(name: str = "net", threads: int = 1, **outcomes: Outcome) -> Result:
    contest = Contest(outcomes, {"FMA GFLOP/s": [118.0, 117.0, 118.0]})
    return Result.of(name, "networks", threads, contest, limit=0.001)


@pytest.fixture
def run() -> Run:
    fast = result(nnc=outcome(2, 2, 2), ort=outcome(3, 3, 3), ov=outcome(4, 4, 4))
    failed = result(
        "other", nnc=outcome(4, 4, 4), ort=outcome(3, 3, 3), ov=Outcome("no such operator")
    )
    wrong = result("third", 2, nnc=outcome(1, 1, 1, difference=0.1), ort=outcome(3, 3, 3))
    machine = {"cpu": "A <fast> one", "processors": "2", "onnxruntime": "1.32.0"}
    return Run([fast, failed, wrong], "python benchmarks/peers.py", "2026-11-25", 3, machine)


def test_a_row_has_latencies_limit_and_ratio(run: Run):
    systems = systems_of(run.results)
    assert systems == ["nnc", "ort", "ov"]
    assert cells(run.results[0], systems) == ["net", "1", "2", "3", "4", "1", "1.50 (1.50-1.50)"]
    assert cells(run.results[1], systems)[4:] == ["failed", "1", "0.75 (0.75-0.75)"]


def test_the_ratio_of_the_best_times(run: Run):
    run.results[0].outcomes["ov"].best = 0.00036
    assert run.results[0].ratio_of_best == pytest.approx(0.2)
    assert run.results[1].ratio_of_best == pytest.approx(0.75)
    assert run.results[2].ratio_of_best is None


def test_wrong_outputs_are_a_failure_without_a_ratio(run: Run):
    assert run.results[2].ratio is None
    assert cells(run.results[2], systems_of(run.results))[2] == "failed"
    assert failures(run.results) == [
        "other, 1 thread: ov: no such operator",
        "third, 2 threads: nnc: outputs differ by 1.0e-01",
    ]


def test_group_means_say_how_many_they_are_of(run: Run):
    assert group_means(run.results) == [
        "networks, 1 thread: geometric mean 1.06, lowest 0.75 (2 of 2)"
    ]


def test_json_round_trip(run: Run, tmp_path: Path):
    path = tmp_path / "folder" / "results.json"
    run.write(path)
    assert Run.read(path) == run
    assert '"median": 1.5' in path.read_text()


def test_the_table_fits_a_console(run: Run):
    console = Console(width=120, file=StringIO())
    console.print(terminal_table(run))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    for part in ("net", "1.50 (1.50-1.50)", "failed", "3 rounds"):
        assert part in text


def test_markdown_is_a_table_with_all_that_repeats_it(run: Run):
    text = markdown(run, "docs/bench.svg")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert len({row.count("|") for row in rows}) == 1
    for part in (run.day, run.command, "onnxruntime 1.32.0", "3 interleaved", "(docs/bench.svg)"):
        assert part in text


def test_a_page_gets_the_text_between_its_markers(tmp_path: Path):
    page = tmp_path / "README.md"
    page.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    put_into_page(page, "new")
    put_into_page(page, "newer")
    assert page.read_text() == f"# Title\n\n{BEGIN}\n\nnewer\n\n{END}\n\nafter\n"


@pytest.mark.parametrize("text", ["# Title\n", f"{BEGIN}\n", f"{END}\n"])
def test_a_page_without_markers_is_refused_and_stays(text: str, tmp_path: Path):
    page = tmp_path / "README.md"
    page.write_text(text)
    with pytest.raises(InputError, match="benchmarks: begin"):
        put_into_page(page, "new")
    assert page.read_text() == text


def test_the_picture_has_a_dot_where_a_system_stands(run: Run):
    root = ElementTree.fromstring(picture(run))
    legend = len(systems_of(run.results))
    dots = list(root.iter(f"{SVG}circle"))[legend:]
    assert len(dots) == 3 + 2 + 1  # failed systems have none
    ours, ort, ov = sorted(float(dot.get("cx", "0")) for dot in dots[:3])
    assert ort - ours > ov - ort > 0  # 2, 3 and 4 on a logarithmic scale


def test_a_picture_of_nothing_is_a_picture(run: Run):
    root = ElementTree.fromstring(picture(Run([], "", "", 3, run.machine)))
    assert root.tag == f"{SVG}svg"
