"""Damaged models: whatever the bytes, only an NncError escapes the importer.

Damage of three kinds: bytes changed, removed or repeated anywhere; bytes changed inside the
protobuf's structure (lengths kept right); and fields of nodes changed while the file stays valid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, numpy_helper, parser

from nnc.core.errors import NncError
from nnc.frontends.onnx import import_model

TEXT = """
<ir_version: 8, opset_import: ["" : 13]>
net (float[N, 3, 16, 16] x, int64[2] extents) => (float[N, 4] y, float[N, 10] p)
<float[8] scale, float[8] shift, float[8] mean, float[8] variance>
{
  c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, w)
  b = BatchNormalization<epsilon = 0.001> (c, scale, shift, mean, variance)
  r = LeakyRelu<alpha = 0.1> (b)
  m = MaxPool<kernel_shape = [2, 2], strides = [2, 2]> (r)
  flat = Flatten<axis = 1> (m)
  p = Gemm<transB = 1> (flat, dense)
  axes = Constant<value_ints = [1]> ()
  starts = Constant<value_ints = [0]> ()
  ends = Constant<value_ints = [4]> ()
  cut = Slice (p, starts, ends, axes)
  s = Softmax<axis = -1> (cut)
  y = Reshape (s, extents)
}
"""


def network() -> onnx.ModelProto:
    """A network with attributes, constants and weights of several kinds."""
    model = parser.parse_model(TEXT)
    random = np.random.default_rng(7)
    del model.graph.initializer[:]
    for name, shape in {
        "w": (8, 3, 3, 3),
        "dense": (10, 128),
        "scale": (8,),
        "shift": (8,),
        "mean": (8,),
        "variance": (8,),
    }.items():
        array = random.random(shape, np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


MODEL = network()
DATA = MODEL.SerializeToString()
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def check_only_nnc_errors(data: bytes | onnx.ModelProto) -> str | None:
    """The message of the NncError, `None` if it was imported; any other error is a failure."""
    try:
        import_model(data).verify()
    except NncError as error:
        return error.message or "an error without a message"
    return None


def test_the_network_itself_is_imported() -> None:
    assert check_only_nnc_errors(DATA) is None


@QUICK
@given(
    st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_changed_bytes(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(DATA)
    for position, value in changes:
        damaged[position] = value
    check_only_nnc_errors(bytes(damaged))


@QUICK
@given(st.integers(0, len(DATA)), st.integers(0, 64), st.booleans())
def test_removed_and_repeated_bytes(position: int, count: int, repeat: bool) -> None:
    piece = DATA[position : position + count]
    tail = piece + piece if repeat else b""
    check_only_nnc_errors(DATA[:position] + tail + DATA[position + count :])


@QUICK
@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    check_only_nnc_errors(data)


@QUICK
@given(st.integers(0, len(MODEL.graph.node) - 1), st.data())
def test_damaged_nodes(position: int, data: st.DataObject) -> None:
    damaged = onnx.ModelProto()
    damaged.CopyFrom(MODEL)
    data.draw(st.sampled_from(DAMAGE))(damaged, position, data)
    check_only_nnc_errors(damaged)


Damage = Callable[[onnx.ModelProto, int, st.DataObject], None]
TENSORS = sorted({name for node in MODEL.graph.node for name in (*node.input, *node.output)})


def change_input(model: onnx.ModelProto, position: int, data: st.DataObject) -> None:
    node = model.graph.node[position]
    if node.input:
        at = data.draw(st.integers(0, len(node.input) - 1))
        node.input[at] = data.draw(st.sampled_from([*TENSORS, "", "nowhere"]))


def change_output(model: onnx.ModelProto, position: int, data: st.DataObject) -> None:
    model.graph.node[position].output[0] = data.draw(st.sampled_from([*TENSORS, "", "new"]))


def change_operator(model: onnx.ModelProto, position: int, data: st.DataObject) -> None:
    names = st.sampled_from([str(schema.name) for schema in onnx.defs.get_all_schemas()])
    model.graph.node[position].op_type = data.draw(names)


def change_attribute(model: onnx.ModelProto, position: int, data: st.DataObject) -> None:
    for attribute in model.graph.node[position].attribute:
        edge = st.sampled_from([0, 1, -1, 2, 7, -(2**63), 2**63 - 1])
        if attribute.type == AttributeProto.INT:
            attribute.i = data.draw(edge)
        elif attribute.type == AttributeProto.INTS:
            values = data.draw(st.lists(edge, max_size=5))
            del attribute.ints[:]
            attribute.ints.extend(values)
        else:
            attribute.type = data.draw(st.sampled_from([AttributeProto.STRING, AttributeProto.INT]))


def change_weight(model: onnx.ModelProto, position: int, data: st.DataObject) -> None:
    tensor = model.graph.initializer[position % len(model.graph.initializer)]
    dims = data.draw(st.lists(st.sampled_from([0, 1, -1, 3, 8, 2**40, 2**62]), max_size=4))
    del tensor.dims[:]
    tensor.dims.extend(dims)
    tensor.data_type = data.draw(st.sampled_from([TensorProto.FLOAT, 0, 7, 8, 99]))


def change_input_type(model: onnx.ModelProto, position: int, data: st.DataObject) -> None:
    tensor = model.graph.input[position % len(model.graph.input)].type.tensor_type
    tensor.elem_type = data.draw(st.sampled_from([0, 1, 7, 8, 9, 16, 99]))
    del tensor.shape.dim[:]
    for extent in data.draw(st.lists(st.sampled_from([-1, 0, 1, 3, 2**62]), max_size=4)):
        tensor.shape.dim.add(dim_value=extent)


def change_opset(model: onnx.ModelProto, position: int, data: st.DataObject) -> None:
    del position
    model.opset_import[0].version = data.draw(st.integers(-1, 40))


DAMAGE: list[Damage] = [
    change_input,
    change_output,
    change_operator,
    change_attribute,
    change_weight,
    change_input_type,
    change_opset,
]
