"""`nnc bisect` names the pass and the node of miscompiles planted in real networks.

Each reproducer has at most ten operations, and nn-opt shows the failure on it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from xdsl.ir.affine import AffineMap

from nnc.core.affine import dim
from nnc.core.testing import Outcome, call
from nnc.lowering.program import plan
from nnc.lowering.program.memory import ArenaPlan, Lifetime, plan_arena
from nnc.lowering.program.packing import pack
from nnc.passes.graph import assign_layouts
from nnc.runtime.arrays import Array
from nnc.tools import nn_opt, nnc
from nnc.tools.bisect.steps import default_pipeline

PLANTS = Path(__file__).parents[1] / "lit" / "tools" / "Inputs" / "wrong_rewrites.py"
SHAPES = {"mtcnn_rnet": "input_2=2x24x24x3", "attacut": "input=1x2x30"}
MAX_OPERATIONS = 10


@dataclass(frozen=True)
class Planted:
    """A pass of the plug-in, after which other it runs, and what bisect should say of it."""

    model: str
    name: str
    after: str
    node: str
    what: str


STORED = "what is stored to %"
PLANTED = [
    Planted("mtcnn_rnet", "wrong-fold", "canonicalize", "node 'Add2'", "graph.add"),
    Planted("mtcnn_rnet", "drop-relu", "recognize", "node 'p_re_lu_6'", "is no longer used"),
    Planted("mtcnn_rnet", "bad-cse", "cse", "node 'Add2'", "reads another constant"),
    Planted("attacut", "bad-fusion-order", "fuse", "node 'node_linear'", "graph."),
    Planted("attacut", "wrong-index-map", "convert-graph-to-te", "node 'node_cat'", "compute @"),
    Planted("mtcnn_rnet", "wrong-type", "convert-graph-to-te", "node 'conv2d_5'", "compute @"),
    Planted("attacut", "drop-statement", "convert-te-to-loop", "'node_embedding_1'", " is gone"),
    Planted("attacut", "read-next", "schedule-kernels", "node 'node_Conv_71'", "statement @bias"),
    Planted("attacut", "wrong-tail", "schedule-kernels", "node 'node_select'", "statement @gather"),
    Planted("attacut", "sum-from-one", "form-tiles", "node 'node_MatMul_56'", f"{STORED}relu"),
    Planted(
        "mtcnn_rnet", "wrong-reduction-init", "form-tiles", "'p_re_lu_3/add:0_pooling'", STORED
    ),
]


def bisect(path: Path, model: str, *extra: str) -> Outcome:
    return call(nnc.main, ["bisect", str(path), "--shape", SHAPES[model], *extra])


def assert_reproduced(text: str, message: str) -> None:
    """The reproducer that bisect names is small, and nn-opt fails on it in the same way."""
    found = re.search(r"reproducer \((\d+) operations\): nn-opt (.*)", text)
    assert found is not None, text
    assert int(found[1]) <= MAX_OPERATIONS
    outcome = call(nn_opt.main, shlex.split(found[2]))
    assert outcome.status == 1
    assert re.search(message, outcome.err.decode()), outcome.err.decode()


def pipeline_with(name: str, after: str) -> str:
    passes = default_pipeline("fast", has_schedules=False).split(",")
    last = len(passes) - passes[::-1].index(after)
    return ",".join([*passes[:last], name, *passes[last:]])


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_pass_is_found(planted: Planted, model_path: Callable[[str], Path]) -> None:
    pipeline = pipeline_with(planted.name, planted.after)
    flags = ["-p", pipeline, "--load-plugin", str(PLANTS)]
    outcome = bisect(model_path(planted.model), planted.model, *flags)
    text = outcome.out.decode()
    assert outcome.status == 1, outcome.err.decode()
    assert f"first wrong after: pass '{planted.name}'" in text
    [place] = [line for line in text.splitlines() if line.startswith("at: ")]
    [what] = [line for line in text.splitlines() if line.startswith("what: ")]
    assert planted.node in place
    assert planted.what in what
    assert re.search(r"output '.*': element \[.*\] is .*, should be .*", text)
    assert_reproduced(text, f"pass '{planted.name}' changed the meaning of @")


def wrong_blocks(rank: int, block: int) -> AffineMap:
    """Blocks whose second half lies on the first."""
    spatial = [dim(i) for i in range(2, rank)]
    return AffineMap(rank, 0, (dim(0), dim(1) // block, *spatial, dim(1) % (block // 2)))


def test_a_wrong_layout_is_found(
    model_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assign_layouts, "blocked", wrong_blocks)
    outcome = bisect(model_path("mtcnn_rnet"), "mtcnn_rnet")
    text = outcome.out.decode()
    assert "first wrong after: pass 'assign-layouts'" in text
    assert "at: node 'p_re_lu_3'" in text
    assert_reproduced(text, "pass 'assign-layouts' changed the meaning of @")


def too_early(buffers: Sequence[Lifetime]) -> ArenaPlan:
    """Memory is given away before its last reader has run."""
    return plan_arena([replace(b, last=max(b.first, b.last - 1)) for b in buffers])


def turned_around(array: Array, layout: AffineMap, shape: Sequence[int]) -> Array:
    """Constants whose blocks are packed the wrong way round."""
    packed = pack(array, layout, shape)
    return packed if packed.shape == array.shape else packed[..., ::-1].copy()


def test_wrongly_packed_constants_are_found(
    model_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "pack", turned_around)
    outcome = bisect(model_path("mtcnn_rnet"), "mtcnn_rnet")
    text = outcome.out.decode()
    assert text, outcome.err.decode()
    assert "first wrong after: stage 'packing of constants'" in text
    assert "it is another constant in the memory that node 'conv2d_5'" in text
    assert_reproduced(text, "the machine code of @main is wrong")


def test_wrong_buffer_reuse_is_found(
    model_path: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "plan_arena", too_early)
    outcome = bisect(model_path("attacut"), "attacut")
    text = outcome.out.decode()
    assert "first wrong after: stage 'memory plan'" in text
    assert "at: node 'node_select" in text
    assert "node 'node_embedding'" in text
    assert_reproduced(text, "the machine code of @main is wrong")


def test_a_right_model_says_so_with_its_margins(model_path: Callable[[str], Path]) -> None:
    outcome = bisect(model_path("attacut"), "attacut", "--against", "onnxruntime")
    text = outcome.out.decode()
    assert outcome.status == 0
    assert "the result is right" in text
    assert re.search(r"output .*\d\.?\d*x .*", text)
