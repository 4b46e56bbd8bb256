"""ONNX's own test cases: each gives ONNX's answer, or is refused by name as `refused.txt` says.

A case that is refused without standing in that table, or stands there and passes, is a failure.
"""

from __future__ import annotations

import pkgutil
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case import node as node_cases
from onnx.backend.test.case.test_case import TestCase as Case
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

from nnc.core.dtypes import element_type
from nnc.core.errors import NncError, UnsupportedError
from nnc.dialects.graph.registry import by_onnx_name

Array = np.ndarray[Any, Any]
Engine = Callable[[onnx.ModelProto, Sequence[Array]], Sequence[Array]]
STORED = ("simple", "pytorch-converted", "pytorch-operator")


def compiled(model: onnx.ModelProto, inputs: Sequence[Array]) -> Sequence[Array]:
    """Through `nnc.compile`, strict numerics."""
    from nnc.compiler.onnx_backend import NncBackend

    return NncBackend.prepare(model).run(list(inputs))


def interpreted(model: onnx.ModelProto, inputs: Sequence[Array]) -> Sequence[Array]:
    """Through the importer and the reference meaning of each operator."""
    from nnc.frontends.onnx import import_model
    from nnc.reference.graph.run import run_module

    return run_module(import_model(model), inputs)


LOOSER = {"test_attention_4d_causal_fp16*": 2e-3}
"""ONNX's answer is rounded to f16 after each step, ours less often: one more unit there."""

ENGINES: dict[str, Engine] = {"compiled": compiled, "interpreted": interpreted}


def operator_modules() -> list[str]:
    """Modules that make the cases of one operator each; importing one takes a moment."""
    found = pkgutil.walk_packages(node_cases.__path__, f"{node_cases.__name__}.")
    return [module.name for module in found if not module.ispkg]


@cache
def cases_of(module: str) -> list[Case]:
    """The cases that a module makes when it is imported."""
    made = cast("list[Case]", vars(node_cases)["_NodeTestCases"])  # where `expect` puts them
    known = len(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module(module)
    return made[known:]


@cache
def stored_cases(kind: str) -> list[Case]:
    """The cases of models that the wheel of onnx holds as files."""
    return sorted(load_model_tests(kind=kind), key=lambda case: case.name)


@cache
def refused(kind: str) -> list[str]:
    """What `refused.txt` lists: of kind operator, type or case."""
    lines = (Path(__file__).parent / "refused.txt").read_text().splitlines()
    pairs = [line.partition("#")[0].split() for line in lines]
    return [pair[1] for pair in pairs if pair and pair[0] == kind]


def is_listed(case: Case) -> bool:
    """Whether a case stands in the table by its own name."""
    return any(fnmatchcase(case.name, pattern) for pattern in refused("case"))


def expects(case: Case, message: str) -> bool:
    """Whether the table expects this refusal."""
    words = set(re.findall(r"[\w.:]+", message))
    return is_listed(case) or not words.isdisjoint([*refused("operator"), *refused("type")])


def load(case: Case) -> tuple[onnx.ModelProto, list[tuple[list[Array], list[Array]]]]:
    """The model, and pairs of inputs and expected outputs."""
    if case.model is not None:
        sets = case.data_sets or []
        return case.model, [(_arrays(inputs), _arrays(outputs)) for inputs, outputs in sets]
    folder = Path(str(case.model_dir))
    model = onnx.load_model_from_string((folder / "model.onnx").read_bytes())
    sets = [
        (_stored(each, "input"), _stored(each, "output"))
        for each in sorted(folder.glob("test_data_set_*"))
    ]
    return model, sets


def _arrays(values: Sequence[Any]) -> list[Array]:
    return [
        numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
        for value in values
    ]


def _stored(folder: Path, what: str) -> list[Array]:
    count = len(list(folder.glob(f"{what}_*.pb")))
    files = [(folder / f"{what}_{at}.pb").read_bytes() for at in range(count)]
    tensors = [onnx.load_tensor_from_string(data) for data in files]
    return [numpy_helper.to_array(tensor) for tensor in tensors]


def outcome(case: Case, engine: str) -> tuple[str, str]:
    """("passed" | "refused" | "wrong", what happened)."""
    model, sets = load(case)
    rtol = next((r for pattern, r in LOOSER.items() if fnmatchcase(case.name, pattern)), case.rtol)
    try:
        for inputs, expected in sets:
            outputs = ENGINES[engine](model, inputs)
            Runner.assert_similar_outputs(expected, outputs, rtol, case.atol)
    except UnsupportedError as error:
        return ("refused" if names_the_culprit(error, model) else "wrong"), str(error)
    except AssertionError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return "wrong", "; ".join(lines[:8])
    except NncError as error:
        return "wrong", f"{type(error).__name__}: {error}"
    return "passed", ""


def names_the_culprit(error: UnsupportedError, model: onnx.ModelProto) -> bool:
    """Whether a user can find what is refused: the operator, the node, or the graph input."""
    graph = model.graph
    operators = {node.op_type for node in graph.node} | {node.name for node in graph.node}
    values = {value.name for value in (*graph.input, *graph.output)}
    return any(name in str(error) for name in filter(None, operators | values))


def check(cases: Sequence[Case], engine: str, record: Callable[[str, object], None]) -> None:
    """Run cases and compare with the table of refusals."""
    problems: list[str] = []
    counts: Counter[str] = Counter(passed=0, refused=0, wrong=0)
    for case in cases:
        found, detail = outcome(case, engine)
        counts[found] += 1
        if found == "wrong":
            problems.append(f"{case.name}: {detail}")
        elif found == "refused" and not expects(case, detail):
            problems.append(f"{case.name}: is refused, not in refused.txt: {detail}")
        elif found == "passed" and is_listed(case):
            problems.append(f"{case.name}: passes, but stands in refused.txt")
    for name, count in counts.items():
        record(f"onnx-cases {engine} {name}", count)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", refused("operator"))
def test_a_refused_operator_is_really_unsupported(name: str) -> None:
    assert by_onnx_name(name) is None


@pytest.mark.parametrize("name", refused("type"))
def test_a_refused_type_is_really_unsupported(name: str) -> None:
    with pytest.raises(UnsupportedError):
        element_type(name)


@pytest.mark.parametrize("module", operator_modules(), ids=lambda name: name.rpartition(".")[2])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore")
def test_operator(engine: str, module: str, record_property: Callable[[str, object], None]) -> None:
    check(cases_of(module), engine, record_property)


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore")
def test_stored_models(
    engine: str, kind: str, record_property: Callable[[str, object], None]
) -> None:
    check(stored_cases(kind), engine, record_property)
