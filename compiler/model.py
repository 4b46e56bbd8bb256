"""`nnc.compile`: a model that is called with arrays; open extents are filled in at the call."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn, cast

from ..core.errors import InputError
from ..core.locks import ForkSafeLock
from ..runtime.arrays import Array
from ..runtime.executable import Executable
from ..runtime.inputs import as_array, check_names, check_shape, joined
from ..runtime.signature import Signature
from .caching import ModelCache, open_store
from .options import Options, checked_path, checked_shapes
from .timing import Timings

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from ..lowering.program import PackedConstants
    from ..runtime.store import Store
    from .caching import Cache
    from .program import Compiled
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
    schedules: str | os.PathLike[str] | None = None,
    cache: Cache = None,
) -> Model:
    """Compile a model.

    Args:
        model: a path, the bytes of a file, an `onnx.ModelProto`, or a module (`nnc.parse`).
        target: "cpu" is this machine; "x86-64-v3", "x86-64-v4", "aarch64-neon".
        threads: how many may work on one inference; all that this process may use if `None`.
            Results do not depend on it.
        numerics: "fast" may change the order of sums, "strict" keeps it.
        shape: extents of inputs by name, where the model leaves them open.
        schedules: a file of our text: its `sched.schedule` ops are used for the kernels that they
            name, instead of what the library would write.
        cache: the folder of the disk cache; `False` for none. The default is a folder of the
            user's, or what the environment variable NNC_CACHE names ("off" for none). Of modules
            only kernels are kept, for they have no bytes to go by.

    Returns: a model to be called with arrays by input name. If all shapes are known it is compiled
        now, else for each new combination of shapes, at the first call that has it.

    Raises: NncError: with the node's name where there is one.
    """
    options = Options.of(target, threads, numerics)
    options.check_runs_here()
    shapes = checked_shapes(shape)
    if schedules is not None:
        schedules = checked_path("schedules", schedules)
    timings = Timings()
    with timings.stage("find in cache"):
        store = open_store(cache)
        known = None
        if store is not None:
            known = ModelCache.of(store, model, options, shapes, schedules)

    def load() -> ModuleOp:
        from .source import load

        module = load(model)
        if schedules is not None:
            from .schedules import replace_schedules

            replace_schedules(module, schedules)
        return module

    return Model(load, options, timings, shapes, known, store)


@dataclass
class _Variant:
    """The model for one combination of shapes; all that was made on the way, if it was compiled."""

    executable: Executable
    compiled: Compiled | None = None


class Model:
    """A compiled model: call it with arrays by input name, get arrays by output name.

    Args:
        load: gives the graph, when it is needed: what the disk cache holds is not read again.
        options: what to compile for.
        timings: to add to.
        shapes: extents of inputs by name.
        cache: the model's part of the disk cache.
        store: the disk cache, which holds kernels of all models.

    Attributes:
        options: what it is compiled for.
        timings: seconds by stage of all compilations so far.
        inputs, outputs: names, shapes and dtypes, extents by name where they are open.
    """

    def __init__(
        self,
        load: Callable[[], ModuleOp],
        options: Options,
        timings: Timings,
        shapes: Mapping[str, tuple[int, ...]],
        cache: ModelCache | None = None,
        store: Store | None = None,
    ):
        self.options = options
        self.timings = timings
        self._load, self._shapes, self._cache, self._store = load, shapes, cache, store
        self._variants: OrderedDict[Shapes, _Variant] = OrderedDict()
        self._lock = ForkSafeLock()
        with timings.stage("find in cache"):
            head = cache.head() if cache is not None else None
        if head is not None:
            self.inputs, self.outputs = list(head.inputs), list(head.outputs)
        else:
            self.inputs, self.outputs = self._read_signatures()
        self._static: Executable | None = None
        self._known: Shapes | None = None
        if all(signature.is_static for signature in self.inputs):
            self._known = tuple(cast("tuple[int, ...]", each.shape) for each in self.inputs)
            self._static = self.executable(self._known)

    def _read_signatures(self) -> tuple[list[Signature], list[Signature]]:
        from .signature import input_signatures, output_signatures

        inputs, outputs = input_signatures(self.module), output_signatures(self.module)
        if self._cache is not None:
            with self.timings.stage("write to cache"):
                self._cache.save_head(inputs, outputs)
        return inputs, outputs

    @cached_property
    def module(self) -> ModuleOp:
        """The graph; not to be changed.

        Raises: NncError: it cannot be read; its file is another one than when it was compiled.
        """
        from ..passes.graph.infer_shapes import specialize
        from .pipelines import verify

        with self.timings.stage("load"):
            module = self._load()
        if self._cache is not None:
            self._cache.check_same()
        verify(module, self.timings)
        with self.timings.stage("infer-shapes"):
            specialize(module, self._shapes)
        return module

    @cached_property
    def _packed(self) -> PackedConstants:
        from ..lowering.program import PackedConstants

        return PackedConstants()

    @property
    def compiled(self) -> Compiled | None:
        """The one variant of a model whose shapes are all known."""
        return self.variant(self._known) if self._known is not None else None

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
        return self.executable(shapes).run(arrays, out)

    def __repr__(self) -> str:
        inputs, outputs = (
            ", ".join(f"{each.name}: {each}" for each in each_end)
            for each_end in (self.inputs, self.outputs)
        )
        return f"<Model {inputs} -> {outputs}>"

    def __reduce__(self) -> NoReturn:
        raise InputError(
            "a compiled model cannot be pickled or copied: it holds machine code",
            hint="call nnc.compile in the other process, where the disk cache has it at once",
        )

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

    def executable(self, shapes: Shapes) -> Executable:
        """The model for these shapes of its inputs, in order: kept, from the cache, or compiled.

        Raises: NncError: it cannot be compiled for them.
        """
        with self._lock.held:
            found = self._variants.get(shapes)
            if found is None and (executable := self._from_cache(shapes)) is not None:
                found = _Variant(executable)
            if found is None:
                made = self._compile(shapes, self._store)
                # What came from the cache lacks what was made on the way.
                found = _Variant(made.executable, None if made.kernels.cached else made)
            self._keep(shapes, found)
            return found.executable

    def variant(self, shapes: Shapes) -> Compiled:
        """As `executable`, with all that was made on the way: what is in the cache is not enough.

        Raises: NncError: it cannot be compiled for them.
        """
        with self._lock.held:
            found = self._variants.get(shapes)
            if found is None or found.compiled is None:
                made = self._compile(shapes, None)
                found = _Variant(made.executable, made)
            self._keep(shapes, found)
            assert found.compiled is not None
            return found.compiled

    def _keep(self, shapes: Shapes, variant: _Variant) -> None:
        self._variants[shapes] = variant
        self._variants.move_to_end(shapes)
        if len(self._variants) > CACHED_SHAPES:
            self._variants.popitem(last=False)

    def _from_cache(self, shapes: Shapes) -> Executable | None:
        if self._cache is None:
            return None
        from .link import link_artifact

        with self.timings.stage("find in cache"):
            artifact = self._cache.load(shapes)
        if artifact is None:
            return None
        with self.timings.stage("link"):
            return link_artifact(artifact, self.options)

    def _compile(self, shapes: Shapes, store: Store | None) -> Compiled:
        from ..passes.graph.infer_shapes import specialize
        from .kernel_cache import KernelCache
        from .program import compile_module

        module = self.module.clone()
        if not all(signature.is_static for signature in self.inputs):
            names = [signature.name for signature in self.inputs]
            specialize(module, dict(zip(names, shapes, strict=True)))
        kernels = KernelCache.of(store, self.options)
        made = compile_module(module, self.options, self.timings, self._packed, kernels)
        with self.timings.stage("write to cache"):
            if self._cache is not None:
                self._cache.save(shapes, made.artifact)
            elif kernels is not None:
                kernels.trim()
        return made
