"""Verification as nn-opt does it: every op, then dominance."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from ...core.diagnostics import Diagnostic
from ...core.verifier import problems


def diagnose(module: ModuleOp) -> list[Diagnostic]:
    """All that is wrong with a module."""
    return [problem.diagnostic() for problem in problems(module)]
