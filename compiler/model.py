"""`nnc.compile`: a model that is called with arrays; open extents are filled in at the call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, cast

from xdsl.dialects.builtin import ModuleOp

from ..core.errors import InputError
from ..lowering.program import PackedConstants
from ..passes.graph.infer_shapes import specialize
from ..runtime.arrays import Array
from ..runtime.executable import Executable, joined
from ..runtime.inputs import as_array, check_names, check_shape
from .options import Options
from .pipelines import verify
from .program import Compiled, compile_module
from .signature import Signature, input_signatures, output_signatures
from .source import load
from .timing import Timings

if TYPE_CHECKING:
    from .source import ModelSource

CACHED_SHAPES = 16
"""Compiled variants of one model that are kept, the least recently used goes first."""
Shapes = tuple[tuple[int, ...], ...]


def compile(
    model: ModelSource,
    target: str = "cpu",
    threads: int | None = None,
    numerics: str = "fast",
    *,
    shape: Mapping[str, tuple[int, ...]] | None = None,
) -> Model:
    """Compile a model.

    Args:
        model: a path, the bytes of a file, an `onnx.ModelProto`, or a module (`nnc.parse`).
        target: "cpu" is this machine; "x86-64-v3", "x86-64-v4", "aarch64-neon".
        threads: how many may work on one inference; all that this process may use if `None`.
            Results do not depend on it.
        numerics: "fast" may change the order of sums, "strict" keeps it.
        shape: extents of inputs by name, where the model leaves them open.

    Returns: a model to be called with arrays by input name. If all shapes are known it is compiled
        now, else for each new combination of shapes, at the first call that has it.

    Raises: NncError: with the node's name where there is one.
    """
    options = Options.of(target, threads, numerics)
    options.check_runs_here()
    timings = Timings()
    with timings.stage("load"):
        module = load(model)
    return Model(module, options, timings, shape or {})


class Model:
    """A compiled model: call it with arrays by input name, get arrays by output name.

    Attributes:
        options: what it is compiled for.
        timings: seconds by stage of all compilations so far.
        module: the graph; not to be changed.
        inputs, outputs: names, shapes and dtypes, extents by name where they are open.
        compiled: the one variant of a model whose shapes are all known.
    """

    def __init__(
        self,
        module: ModuleOp,
        options: Options,
        timings: Timings,
        shapes: Mapping[str, tuple[int, ...]],
    ):
        self.options = options
        self.timings = timings
        self.module = module
        self._variants: OrderedDict[Shapes, Compiled] = OrderedDict()
        self._packed = PackedConstants()
        self._lock = Lock()
        verify(module, timings)
        with timings.stage("infer-shapes"):
            specialize(module, shapes)
        self.inputs: list[Signature] = input_signatures(module)
        self.outputs: list[Signature] = output_signatures(module)
        self.compiled: Compiled | None = None
        self._static: Executable | None = None
        if all(signature.is_static for signature in self.inputs):
            known = tuple(cast("tuple[int, ...]", signature.shape) for signature in self.inputs)
            self.compiled = self.variant(known)
            self._static = self.compiled.executable

    def __call__(
        self,
        inputs: Mapping[str, object] | None = None,
        out: Mapping[str, Array] | None = None,
        /,
        **named: object,
    ) -> dict[str, Array]:
        """Run on arrays by input name; gives arrays by output name.

        Args:
            inputs: by name.
            out: arrays to be filled and given back, by output name; the others are new.
            **named: further inputs.

        Raises:
            InputError: names, dtypes or shapes that do not fit the model's inputs and outputs.
            NncError: the model cannot be compiled for these shapes.
        """
        given = joined(inputs, named)
        if self._static is not None:
            return self._static.run(given, out)
        arrays = self._arrays(given)
        shapes = tuple(arrays[signature.name].shape for signature in self.inputs)
        return self.variant(shapes).executable.run(arrays, out)

    def _arrays(self, given: Mapping[str, object]) -> dict[str, Array]:
        names = [signature.name for signature in self.inputs]
        check_names(given, names)
        arrays: dict[str, Array] = {}
        for signature in self.inputs:
            if signature.dtype is None:
                raise InputError("its dtype is not known", where=f"input '{signature.name}'")
            array = as_array(signature.name, given[signature.name], signature.dtype)
            if signature.shape is not None:
                check_shape(f"input '{signature.name}'", array.shape, signature.shape)
            arrays[signature.name] = array
        return arrays

    def variant(self, shapes: Shapes) -> Compiled:
        """The model compiled for these shapes of its inputs, in order; cached.

        Raises: NncError: it cannot be compiled for them.
        """
        with self._lock:
            found = self._variants.get(shapes)
            if found is not None:
                self._variants.move_to_end(shapes)
                return found
            module = self.module.clone()
            if not all(signature.is_static for signature in self.inputs):
                names = [signature.name for signature in self.inputs]
                specialize(module, dict(zip(names, shapes, strict=True)))
            made = compile_module(module, self.options, self.timings, self._packed)
            self._variants[shapes] = made
            if len(self._variants) > CACHED_SHAPES:
                self._variants.popitem(last=False)
            return made
