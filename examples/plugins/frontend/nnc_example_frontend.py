"""Files *.mlp: dense layers as JSON.

{"input": [1, 3], "layers": [{"weights": [[1], [2], [3]], "bias": [0.5], "activation": "Relu"}]}
"""

import json
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from xdsl.dialects.builtin import FunctionType, ModuleOp, NameLoc, NoneAttr, StringAttr, f32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Region, SSAValue

from nnc.core.errors import ModelError
from nnc.core.irtypes import strings
from nnc.dialects.graph.base import ConstantOp, GraphOp
from nnc.dialects.graph.binary import AddOp
from nnc.dialects.graph.linear import MatMulOp
from nnc.dialects.graph.registry import by_onnx_name
from nnc.dialects.graph.types import tensor_type


def read(source: str | PathLike[str] | bytes) -> ModuleOp:
    """The module of a path, or of a file's bytes.

    Raises: ModelError: it cannot be read, or it is something else; with the layer.
    """
    where = "<bytes>" if isinstance(source, bytes) else fspath(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        content = json.loads(data)
        shape, layers = tuple(content["input"]), content["layers"]
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=where) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"is no JSON of layers: {error}", where=where) from None
    block = Block(arg_types=[tensor_type(shape, f32)])
    value: SSAValue = block.args[0]
    for number, layer in enumerate(layers):
        value = _Layer(block, f"layer {number}").add(layer, value)
    block.add_op(ReturnOp(value))
    main = FuncOp("main", FunctionType.from_lists(block.arg_types, [value.type]), Region(block))
    main.attributes["nnc.input_names"] = strings(["x"])
    main.attributes["nnc.output_names"] = strings(["y"])
    return ModuleOp([main])


class _Layer:
    """Adds the operators of one layer; each knows the layer's name, for messages and profiles."""

    def __init__(self, block: Block, name: str):
        self.block, self.name = block, name

    def add(self, layer: dict[str, Any], value: SSAValue) -> SSAValue:
        """activation(value @ weights + bias)."""
        try:
            value = self.op(MatMulOp.of(value, self.constant(layer["weights"])))
            if "bias" in layer:
                value = self.op(AddOp.of(value, self.constant(layer["bias"])))
        except KeyError as error:
            raise ModelError(f"lacks {error}", where=self.name) from None
        except ModelError as error:
            error.where = error.where or self.name
            raise
        if "activation" not in layer:
            return value
        known = by_onnx_name(layer["activation"])
        if known is None:
            raise ModelError(f"unknown activation '{layer['activation']}'", where=self.name)
        return self.op(known.cls.of(value))

    def constant(self, content: object) -> SSAValue:
        op = ConstantOp.of(np.asarray(content, np.float32))
        self.block.add_op(op)
        return op.res

    def op(self, op: GraphOp) -> SSAValue:
        op.location = NameLoc(StringAttr(self.name), NoneAttr())
        self.block.add_op(op)
        return op.results[0]
