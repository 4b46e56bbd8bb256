"""Ways into the graph and te dialects: ONNX files, the symbol API, te expressions in Python."""

from ..core.catalog import lazy

FRONTENDS = lazy(
    __name__,
    {
        # what `nn-opt -f NAME` reads besides text: a function from a path or bytes to a module
        "onnx": "onnx:import_model",
    },
)
