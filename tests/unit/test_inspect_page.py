"""`nnc inspect --html` and `--svg`: files that hold what they should, whatever names say."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import nnc
from nnc.tools.nnc import main
from nnc.tools.page.network import CONTRACTION, ELEMENTWISE, HOST, INPUT, OUTPUT, network_of

HOSTILE = "</script><b a=\"'&amp;{{data}}\u2028ü"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two products, a node that is computed when compiled, a host step; hostile names."""
    monkeypatch.chdir(tmp_path)
    value = helper.make_tensor_value_info
    weights = np.random.default_rng(0).standard_normal((16, 16), np.float32)
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Neg", ["W"], ["V"], "folded"),
            node("MatMul", ["x", "W"], ["p"], HOSTILE),
            node("Relu", ["p"], ["q"], "relu"),
            node("MatMul", ["q", "V"], ["r"], "second"),
            node("Add", ["r", "q"], ["s"], "sum"),
            node("NonZero", ["s"], ["z"], "where"),
        ],
        "test",
        [value("x", TensorProto.FLOAT, [8, 16])],
        [value("s", TensorProto.FLOAT, [8, 16]), value("z", TensorProto.INT64, [2, None])],
        [numpy_helper.from_array(weights, "W")],
    )
    opset = [helper.make_opsetid("", 17)]
    proto = helper.make_model(graph, opset_imports=opset, ir_version=9)
    Path("m.onnx").write_bytes(proto.SerializeToString())
    return "m.onnx"


def embedded(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def blob(html: str, name: str) -> Any:
    found = re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', html)
    assert found is not None
    return json.loads(zlib.decompress(base64.b64decode(found[1])))


def node_names(data: dict[str, Any]) -> Iterator[str]:
    for node in data["nodes"]:
        yield from (name for _, name in node["rows"])


def test_the_page_holds_the_network_and_every_level(model: str):
    assert main(["inspect", model, "--html", "out.html"]) == 0
    html = Path("out.html").read_text("utf-8")
    data = embedded(html)
    assert {HOSTILE, "relu", "second", "sum", "where"} <= set(node_names(data))
    assert data["folded"] == [["neg", "folded"]]
    first = next(node for node in data["nodes"] if HOSTILE in [row[1] for row in node["rows"]])
    levels = {
        each["level"]: each for each in blob(html, data["kernels"][first["kernels"][0]]["blob"])
    }
    assert sorted(levels) == list(range(7))
    assert levels[0]["lines"] == [HOSTILE, "relu"]
    assert any("te.compute" in line for line in levels[1]["lines"])
    assert any("vectorize" in line for line in levels[4]["lines"])
    for each in levels.values():
        assert len(each["lines"]) == len(each["from"])
    changed = {each["name"]: each for each in data["passes"] if each["blob"]}
    assert "fold-constants" in changed
    assert any("graph.neg" in line for line in blob(html, changed["fold-constants"]["blob"]))
    idle = [each["name"] for each in data["passes"] if not each["blob"]]
    assert "cse" in idle


def test_a_text_is_named_by_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("net.nn").write_text(
        "func.func @main(%x: tensor<8x16xf32>, %w: tensor<16x32xf32>) -> tensor<8x32xf32> {\n"
        "  %0 = graph.matmul(%x, %w) : tensor<8x32xf32>\n"
        "  %1 = graph.relu(%0) : tensor<8x32xf32>\n"
        "  func.return %1\n}\n"
    )
    assert main(["inspect", "net.nn", "--html", "out.html"]) == 0
    html = Path("out.html").read_text("utf-8")
    data = embedded(html)
    (called,) = [node for node in data["nodes"] if node["kernels"]]
    assert called["rows"] == [["matmul", "net.nn:2"], ["relu", "net.nn:3"]]
    nodes, te = blob(html, data["kernels"][called["kernels"][0]]["blob"])[:2]
    assert nodes["lines"] == ["net.nn:2", "net.nn:3"]
    for line, places in zip(te["lines"], te["from"], strict=True):
        if "te.compute" in line:
            assert places == [1 if "@matmul" in line else 2]


def test_names_cannot_leave_their_place(model: str):
    assert main(["inspect", model, "--html", "out.html", "--svg", "out.svg"]) == 0
    html = Path("out.html").read_text("utf-8")
    assert HOSTILE not in html
    assert "<b a=" not in html
    assert len(re.findall("</script>", html)) == len(re.findall("<script", html))
    drawn = ElementTree.fromstring(Path("out.svg").read_text("utf-8"))
    titles = [each.text or "" for each in drawn.iter(f"{SVG}title")]
    assert any(HOSTILE in title for title in titles)


def test_nothing_is_loaded_from_elsewhere(model: str):
    assert main(["inspect", model, "--html", "out.html", "--svg", "out.svg"]) == 0
    for name in ("out.html", "out.svg"):
        text = Path(name).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"https?:|@import|url\(|<link|\ssrc=", text)
    assert "default-src 'none'" in Path("out.html").read_text("utf-8")


def test_the_picture_has_every_step_and_edge(model: str):
    assert main(["inspect", model, "--svg", "out.svg"]) == 0
    drawn = ElementTree.fromstring(Path("out.svg").read_text("utf-8"))
    compiled = nnc.compile(model, cache=False)
    assert compiled.compiled is not None
    network = network_of(compiled.compiled, compiled.module)
    paths = [each for each in drawn.iter(f"{SVG}path") if each.get("class") == "edge"]
    assert len(paths) == len(network.edges)
    boxes = [each for each in drawn.iter(f"{SVG}g") if each.get("data-node")]
    assert len(boxes) == len(network.nodes)


def test_edges_follow_the_data(model: str):
    compiled = nnc.compile(model, cache=False)
    assert compiled.compiled is not None
    network = network_of(compiled.compiled, compiled.module)
    nodes = network.nodes
    kinds = [node.kind for node in nodes]
    assert kinds == [INPUT, CONTRACTION, CONTRACTION, HOST, OUTPUT, OUTPUT]
    assert [name for _, name in nodes[2].rows] == ["second", "sum"]
    assert nodes[2].shape == "8x16 float32"
    assert sorted(network.edges) == [(0, 1), (1, 2), (2, 3), (2, 4), (3, 5)]
    assert ELEMENTWISE not in kinds


def test_a_profile_is_shown_measured_or_read(model: str, capsys: pytest.CaptureFixture[str]):
    assert main(["bench", model, "--profile", "--rounds", "2", "-o", "times.json"]) == 0
    rows = json.loads(Path("times.json").read_text())["rows"]
    assert len(rows) == 3
    rows[0]["seconds"], rows[0]["limit"] = 0.25, 0.2
    report = {"rows": rows, "launches": 3, "whole": 0.5, "share": 1.0, "gflops": 10.0}
    Path("times.json").write_text(json.dumps(report))
    for given in (["--profile", "times.json"], ["--profile"]):
        assert main(["inspect", model, "--html", "out.html", *given]) == 0
        data = embedded(Path("out.html").read_text("utf-8"))
        timed = [node for node in data["nodes"] if "time" in dict(node["facts"])]
        assert [node["title"] for node in timed] == [
            row["name"].removeprefix("host: ") for row in rows
        ]
        if len(given) == 2:
            facts = dict(timed[0]["facts"])
            assert facts["time"].startswith("250.000 ms")
            assert facts["of its limit"] == "80 %"
    capsys.readouterr()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{"name": 1}]}', '{"rows": 3}'])
def test_what_is_no_profile_is_refused(model: str, capsys: pytest.CaptureFixture[str], text: str):
    Path("times.json").write_text(text)
    assert main(["inspect", model, "--svg", "out.svg", "--profile", "times.json"]) == 1
    error = capsys.readouterr().err
    assert "times.json: expected a profile" in error or "expected a profile" in error
    assert "nnc bench MODEL --profile -o FILE" in error


def test_open_shapes_and_bad_files_are_refused(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["inspect", model, "--html", str(tmp_path / "none" / "out.html")]) == 1
    assert "cannot write" in capsys.readouterr().err
    Path("open.nn").write_text(
        "func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {\n"
        "  %0 = graph.relu(%x) : tensor<?x4xf32>\n  func.return %0\n}\n"
    )
    assert main(["inspect", "open.nn", "--svg", "out.svg"]) == 1
    assert "kernels depend on the shapes" in capsys.readouterr().err
