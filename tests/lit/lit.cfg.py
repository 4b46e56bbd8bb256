"""Configuration of lit. tests/test_lit.py runs the same files in one process, much faster."""

# ruff: noqa: F821  (lit gives this file the name `config`)

import os
import sys
import tempfile

import lit.formats

from nnc.core.testing import available_features, mlir_opt

config.name = "nnc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".nn", ".mlir"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(tempfile.gettempdir(), "nnc-lit")
config.available_features |= available_features()
bin_folder = os.path.dirname(sys.executable)
config.environment["PATH"] = bin_folder + os.pathsep + os.environ["PATH"]
config.substitutions.append(("%python", sys.executable))
config.substitutions.append(("%mlir-opt", mlir_opt() or "mlir-opt"))
