"""`nnc.register_...`: operators, passes, schedules, targets and formats of users."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from extending import RELU, X, custom, opt
from onnx import ModelProto, TensorProto, helper
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp
from xdsl.ir import Attribute
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.passes import ModulePass

import nnc
import nnc.symbol as sym
from nnc.compiler.pipelines import GRAPH, extended
from nnc.core import extensions
from nnc.core.errors import InputError, ModelError, NncError, PassError, ScheduleError
from nnc.core.irtypes import float_attr
from nnc.core.testing import call
from nnc.dialects.graph.base import GraphOp
from nnc.dialects.graph.checks import FLOATS, expect
from nnc.dialects.graph.elementwise import UnaryOp
from nnc.dialects.graph.types import tensor_type
from nnc.dialects.te_build import Tensor
from nnc.lowering.graph_to_te.site import Site as OpSite
from nnc.schedules.library.rules import Site
from nnc.targets import resolve
from nnc.tools import nn_opt
from nnc.tools import nnc as command


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with extensions.scope():
        yield


@irdl_op_definition
class BoundedOp(GraphOp):
    """x * scale, at least `low`, at most the operand `high` if that is there."""

    name = "graph.bounded"
    x = operand_def()
    high = opt_operand_def()
    low = prop_def(FloatAttr)
    scale = opt_prop_def(FloatAttr, float_attr(1.0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        return [expect("x", self.x, FLOATS).type]


def bounded(op: BoundedOp, x: np.ndarray, high: np.ndarray | None) -> np.ndarray:
    raised = np.maximum(x * x.dtype.type(op.scale.value.data), x.dtype.type(op.low.value.data))
    return raised if high is None else np.minimum(raised, high)


def register_bounded() -> None:
    nnc.register_op(BoundedOp, meaning=bounded, onnx="com.acme::Bounded", versions=(2, 3))


# --- operators


def test_an_operator_without_a_definition_runs_on_the_host() -> None:
    register_bounded()
    model = nnc.compile(custom("Bounded", 2, low=-1.0), cache=False)
    np.testing.assert_array_equal(model(x=X)["y"], np.maximum(X, -1))
    done = call(command.main, ["ops"]).out.decode()
    (line,) = (line for line in done.splitlines() if " bounded " in line)
    assert "on the host" in line


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (custom("Bounded", 1, low=0.0), "com.acme::Bounded of version 1 of its domain"),
        (custom("Bounded", 4, low=0.0), "com.acme::Bounded of version 4 of its domain"),
        (custom("Bounded", 2), "com.acme::Bounded needs the attribute 'low'"),
        (custom("Bounded", 2, low=0.0, up=1.0), "with the attribute 'up' is not supported"),
        (
            custom("Bounded", 2, low=1),
            "com.acme::Bounded: 1 : i64 should be of base attribute float",
        ),
        (custom("Unknown", 2), "1 operator is not supported: com.acme::Unknown"),
    ],
)
def test_a_node_that_does_not_fit_is_named(model: ModelProto, message: str) -> None:
    register_bounded()
    with pytest.raises(NncError, match=message) as error:
        nnc.compile(model, cache=False)
    assert error.value.where == "node 'own'"


def test_a_registered_operator_is_a_function_of_symbols() -> None:
    """Its operands are inputs, optional ones may be left out; its properties are attributes."""
    register_bounded()
    x, high = sym.Variable("x"), sym.Variable("high")
    y = sym.bounded(sym.relu(x), high=high, low=0.25, scale=2)
    z = sym.bounded(x, low=-1)
    graph, lib, params = nnc.build(sym.Group([y, z]), shape={"x": X.shape, "high": X.shape})
    assert not params
    model = nnc.runtime.create(graph, lib, nnc.cpu(0))
    model.run(x=X, high=X + 2)
    expected = np.minimum(np.maximum(2 * np.maximum(X, 0), 0.25), X + 2)
    np.testing.assert_array_equal(model.get_output(0), expected)
    np.testing.assert_array_equal(model.get_output(1), np.maximum(X, -1))
    assert "bounded(x, high, low: float, scale: float = 1.0)" in str(sym.bounded.__doc__)
    assert "bounded" in sym.operators()
    for attributes, message in (
        ({}, "bounded needs the attribute 'low'"),
        ({"low": 1, "up": 2}, "bounded has no attribute 'up'"),
        ({"low": "none"}, "expected float, got 'none'"),
    ):
        with pytest.raises(ModelError, match=message):
            sym.bounded(x, **attributes)


def test_a_symbol_of_nobodys_name_is_no_operator() -> None:
    with pytest.raises(AttributeError, match="no operator 'bounded'"):
        _ = sym.bounded


@pytest.mark.parametrize("is_cheap", [False, True])
def test_a_cheap_operator_is_computed_again_where_it_is_read(is_cheap: bool) -> None:
    """As a relu is: what its class says counts, not its name."""

    @irdl_op_definition
    class NarrowOp(UnaryOp):
        """x * 0.5"""

        name = "graph.narrow"
        IS_CHEAP: ClassVar = is_cheap

    def meaning(op: NarrowOp, x: np.ndarray) -> np.ndarray:
        return x * x.dtype.type(0.5)

    def definition(op: NarrowOp, at: OpSite) -> Sequence[Tensor]:
        return [at.pointwise(lambda x: x * 0.5, at[op.x])]

    nnc.register_op(NarrowOp, meaning=meaning, definition=definition)
    text = """
func.func @main(%x: tensor<4x1xf32>, %y: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = graph.narrow(%x) : tensor<4x1xf32>
  %1 = graph.add(%0, %y) : tensor<4x4xf32>
  func.return %1
}
"""
    for name in ("narrow", "relu"):
        done = opt(text.replace("narrow", name), "-p", "fuse").out.decode()
        assert ("@" + name + "_add" in done) == (is_cheap or name == "relu"), done


def test_a_model_must_say_the_version_of_a_domain() -> None:
    register_bounded()
    model = custom("Bounded", 2, low=0.0)
    del model.opset_import[1]
    with pytest.raises(ModelError, match=r"says no version of the domain 'com.acme'"):
        nnc.compile(model, cache=False)


def test_a_registered_operator_goes_before_the_models_own_function() -> None:
    register_bounded()
    model = custom("Bounded", 2, low=0.5)
    body = [helper.make_node("Neg", ["a"], ["b"])]
    opsets = list(model.opset_import)
    function = helper.make_function("com.acme", "Bounded", ["a"], ["b"], body, opsets, ["low"])
    model.functions.append(function)
    y = nnc.compile(model, cache=False)(x=X)["y"]
    np.testing.assert_array_equal(y, np.maximum(X, 0.5))


def test_two_forms_of_one_onnx_operator_by_version() -> None:
    register_bounded()

    @irdl_op_definition
    class OldOp(UnaryOp):
        """-x."""

        name = "graph.bounded_old"

    def negative(op: OldOp, x: np.ndarray) -> np.ndarray:
        return -x

    with pytest.raises(NncError, match=r"is both 'graph.bounded' of .* and 'graph.bounded_old' of"):
        nnc.register_op(OldOp, meaning=negative, onnx="com.acme::Bounded", versions=(1, 2))
    nnc.register_op(OldOp, meaning=negative, onnx="com.acme::Bounded", versions=(1, 1))
    y = nnc.compile(custom("Bounded", 1), cache=False)(x=X)["y"]
    np.testing.assert_array_equal(y, -X)
    y = nnc.compile(custom("Bounded", 3, low=0.0), cache=False)(x=X)["y"]
    np.testing.assert_array_equal(y, np.maximum(X, 0))


def test_an_operator_of_onnx_itself_that_nnc_lacks() -> None:
    @irdl_op_definition
    class DetOp(GraphOp):
        """The determinant of each matrix."""

        name = "graph.det"
        ONNX_NAME: ClassVar = "Det"
        x = operand_def()
        res = result_def()

        def infer(self) -> Sequence[Attribute]:
            x = expect("x", self.x, FLOATS)
            return [tensor_type(None if x.dims is None else x.dims[:-2], x.element)]

    def det(op: DetOp, x: np.ndarray) -> np.ndarray:
        return np.linalg.det(x)

    value = helper.make_tensor_value_info
    node = helper.make_node("Det", ["x"], ["y"])
    x, y = value("x", TensorProto.FLOAT, (3, 2, 2)), value("y", TensorProto.FLOAT, (3,))
    opsets = [helper.make_opsetid("", 22)]
    model = helper.make_model(helper.make_graph([node], "net", [x], [y]), opset_imports=opsets)
    model.ir_version = 9
    with pytest.raises(NncError, match="not supported: Det"):
        nnc.compile(model, cache=False)
    nnc.register_op(DetOp, meaning=det)
    arrays = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    np.testing.assert_allclose(nnc.compile(model, cache=False)(x=arrays)["y"], -2, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bounded", "expected an ONNX name 'domain::OpType'"),
        ("ai.onnx::Relu", "of a domain of your own"),
        ("com.acme::", "expected an ONNX name"),
    ],
)
def test_names_in_onnx_are_checked(name: str, message: str) -> None:
    with pytest.raises(NncError, match=message) as error:
        nnc.register_op(BoundedOp, meaning=bounded, onnx=name)
    assert error.value.where is not None
    assert error.value.where.startswith(f"{__file__}:")


def test_names_may_have_dots() -> None:
    @irdl_op_definition
    class DottedOp(UnaryOp):
        """2 x."""

        name = "graph.acme.twice"

    def meaning(op: DottedOp, x: np.ndarray) -> np.ndarray:
        return x + x

    def definition(op: DottedOp, at: OpSite) -> Sequence[Tensor]:
        return [at.pointwise(lambda x: x + x, at[op.x])]

    nnc.register_op(DottedOp, meaning=meaning, definition=definition)
    text = RELU.replace(
        "func.return %y", "%z = graph.acme.twice(%y) : tensor<2x100xf32>\n  func.return %z"
    )
    assert opt(text, "--verify-roundtrip").status == 0
    (y,) = nnc.compile(nnc.parse(text))(x=X).values()
    np.testing.assert_array_equal(y, 2 * np.maximum(X, 0))


# --- passes


@dataclass(frozen=True)
class SpoilPass(ModulePass):
    """Leaves the module as it is, or broken."""

    name = "spoil"
    how: str = "not"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        op.attributes["test.seen"] = float_attr(1.0)


def test_a_pass_goes_where_it_was_placed() -> None:
    nnc.register_pass(SpoilPass, after="canonicalize")
    names = extended(GRAPH)
    assert names.count("spoil") == 1
    assert names.index("spoil") == len(names) - 1 - names[::-1].index("canonicalize") + 1
    assert extended(["fuse"]) == ["fuse"]
    model = nnc.compile(nnc.parse(RELU))
    np.testing.assert_array_equal(model(x=X)["y"], np.maximum(X, 0))
    assert model.compiled is not None
    assert "test.seen" in model.compiled.module.attributes


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"phase": "graph"}, [*GRAPH, "spoil"]),
        ({"before": "infer-shapes"}, ["spoil", *GRAPH]),
        ({"phase": "fuse"}, [*GRAPH]),
    ],
)
def test_places(place: dict[str, str], expected: list[str]) -> None:
    nnc.register_pass(SpoilPass, **place)
    assert extended(GRAPH) == expected


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"after": "cannonicalize"}, "the pipeline has no pass 'cannonicalize'"),
        ({"phase": "graf"}, "the pipeline has no phase 'graf'"),
        ({}, "takes one of phase, after and before"),
        ({"after": "cse", "phase": "graph"}, "takes one of phase, after and before"),
    ],
)
def test_places_that_are_not(place: dict[str, str], message: str) -> None:
    with pytest.raises(NncError, match=message) as error:
        nnc.register_pass(SpoilPass, **place)
    assert (error.value.where or "").startswith(f"{__file__}:")


def test_a_pass_that_breaks_the_module_is_named() -> None:
    @dataclass(frozen=True)
    class BreakPass(ModulePass):
        """Gives an op a type that it cannot have."""

        name = "break"

        def apply(self, ctx: Context, op: ModuleOp) -> None:
            for inner in op.walk():
                if inner.name == "graph.relu":
                    inner.properties["unknown"] = float_attr(1.0)

    nnc.register_pass(BreakPass, after="dce")
    with pytest.raises(PassError, match=r"pass 'break' of .* left the module broken"):
        nnc.compile(nnc.parse(RELU))


# --- schedules, targets, formats


def test_a_rule_that_begins_and_declines_is_refused() -> None:
    def rule(site: Site) -> Collection[str]:
        site.schedule.split(site.compute.loop(site.compute.parallel[0]), 2)
        return ()

    nnc.register_schedule("half", rule)
    with pytest.raises(ScheduleError, match=r"'half' of .* declined a compute that it had changed"):
        nnc.compile(nnc.parse(RELU))


def test_a_rule_that_is_refused_is_named() -> None:
    def rule(site: Site) -> Collection[str]:
        site.schedule.split("no_such", 2)
        return (site.compute.symbol,)

    nnc.register_schedule("half", rule)
    with pytest.raises(ScheduleError, match=r"schedule 'half' of .*: "):
        nnc.compile(nnc.parse(RELU))


def test_the_librarys_classes_are_taken() -> None:
    with pytest.raises(NncError, match="schedule 'rows' is defined by both nnc and "):
        nnc.register_schedule("rows", lambda site: ())


def test_targets_of_users() -> None:
    made = replace(resolve("x86-64-v3"), name="mine", l2_bytes=1 << 19)
    nnc.register_target(made)
    assert resolve("mine") is made
    with pytest.raises(NncError, match="target 'cpu' is defined by both nnc and "):
        nnc.register_target(replace(made, name="cpu"))
    with pytest.raises(NncError, match="expected a Target, got 'mine'"):
        nnc.register_target("mine")  # pyright: ignore[reportArgumentType]
    with pytest.raises(NncError, match="vector_bits of 'odd' is 500, expected 128, 256, 512"):
        nnc.register_target(replace(made, name="odd", vector_bits=500))
    with pytest.raises(NncError, match="expected the name of a target, got ''"):
        nnc.register_target(replace(made, name=""))


def test_a_format_of_users(tmp_path: Path) -> None:
    def read(source: object) -> ModuleOp:
        return nnc.parse(Path(str(source)).read_text().replace("RELU", "graph.relu"))

    nnc.register_frontend("short", read)
    path = tmp_path / "m.short"
    path.write_text(RELU.replace("graph.relu", "RELU"))
    np.testing.assert_array_equal(nnc.compile(path)(x=X)["y"], np.maximum(X, 0))
    assert b"graph.relu" in call(nn_opt.main, ["-f", "short", str(path)]).out
    with pytest.raises(NncError, match="format 'onnx' is defined by both nnc and "):
        nnc.register_frontend("onnx", read)
    with pytest.raises(NncError, match=r"the format '\.short' is named with a dot"):
        nnc.register_frontend(".short", read)


def test_a_front_end_that_makes_no_module(tmp_path: Path) -> None:
    nnc.register_frontend("none", lambda source: None)  # pyright: ignore[reportArgumentType]
    path = tmp_path / "m.none"
    path.write_text("")
    with pytest.raises(InputError, match="its front end made no module but NoneType"):
        nnc.compile(path)
