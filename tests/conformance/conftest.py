"""Counts of ONNX's backend cases, shown at the end of the run."""

from __future__ import annotations

from collections import Counter

import pytest

PROPERTY = "onnx-cases"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: dict[str, Counter[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if not isinstance(report, pytest.TestReport) or report.when != "call":
                continue
            for key, value in report.user_properties:
                engine, _, outcome = key.removeprefix(PROPERTY).strip().partition(" ")
                if key.startswith(PROPERTY):
                    counts.setdefault(engine, Counter())[outcome] += int(str(value))
    for engine, found in sorted(counts.items()):
        text = ", ".join(f"{found[name]} {name}" for name in ("passed", "refused", "wrong"))
        terminalreporter.write_line(f"ONNX backend cases, {engine}: {text}")
