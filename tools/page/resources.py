"""The files beside this one that are not Python."""

from __future__ import annotations

from pathlib import Path


def resource(name: str) -> str:
    """The text of a style sheet, a script or a template."""
    return (Path(__file__).parent / name).read_text("utf-8")
