"""`nnc.build`: a graph to code, in NNVM's manner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ..core.errors import InputError
from ..core.irtypes import strings
from ..dialects.graph.base import ConstantOp
from ..frontends.symbol import Symbol
from ..passes.graph.bind_inputs import INPUT_NAMES, bind_inputs, input_names, main_function
from ..passes.graph.infer_shapes import specialize
from ..runtime.arrays import Array
from ..runtime.inputs import check_mapping
from ..runtime.module import CompiledLibrary
from .caching import open_store
from .graph import Graph, create
from .kernel_cache import KernelCache
from .options import Options, checked_shapes
from .program import compile_module
from .signature import input_signatures
from .timing import Timings

if TYPE_CHECKING:
    from .caching import Cache


def build(
    graph: Graph | Symbol,
    target: str = "llvm",
    shape: Mapping[str, Sequence[int]] | None = None,
    dtype: str | Mapping[str, str] = "float32",
    params: Mapping[str, Any] | None = None,
    *,
    threads: int | None = None,
    numerics: str = "fast",
    cache: Cache = None,
) -> tuple[Graph, CompiledLibrary, dict[str, Array]]:
    """Compile a graph.

    Args:
        graph: a graph, or a symbol of which one is made.
        target: "llvm" is this machine.
        shape: extents of inputs by name; the others follow from them, forward and backward.
        dtype: of every input that has none yet, or by name.
        params: content of inputs that is known now; it is compiled in.
        threads: how many may work on one run.
        numerics: "fast" may change the order of sums, "strict" keeps it.
        cache: the disk cache, as of `nnc.compile`; kernels are kept there, whole graphs are not.

    Returns: the graph with all shapes, its code, and the parameters (`params`, and those that
        variables of the symbol were given).

    Raises: NncError: shapes that contradict each other or do not suffice, by the inputs' names.
    """
    options = Options.of(target, threads, numerics)
    options.check_runs_here()
    if isinstance(graph, Symbol):
        graph = create(graph)
    if not isinstance(graph, Graph):  # pyright: ignore[reportUnnecessaryIsInstance]
        hint = "nnc.compile takes models, files and modules"
        raise InputError(f"expected a graph or a symbol, got {graph!r}", hint=hint)
    module = graph.module.clone()
    given = _contents(params)
    dtype = _dtypes(dtype)
    known = {**graph.params, **given}
    names = input_names(main_function(module))
    known = {name: array for name, array in known.items() if name in names or name in given}
    dtypes = {name: array.dtype.name for name, array in known.items()}
    shapes = {**{name: array.shape for name, array in known.items()}, **checked_shapes(shape)}
    bind_inputs(module, {}, {**dtypes, **dtype} if isinstance(dtype, Mapping) else dtypes)
    specialize(module, shapes, dtype if isinstance(dtype, str) else None)
    _check_known(module)
    finished = Graph(module.clone(), graph.symbol, known)
    _compile_in(module, known)
    kernels = KernelCache.of(open_store(cache), options)
    compiled = compile_module(module, options, Timings(), cache=kernels)
    if kernels is not None:
        kernels.trim()
    return finished, CompiledLibrary(compiled.executable, known), known


def _contents(params: Mapping[str, Any] | None) -> dict[str, Array]:
    """Raises: InputError: no mapping, or something in it is no array."""
    if params is None:
        return {}
    check_mapping("params", params)
    arrays: dict[str, Array] = {}
    for name, value in params.items():
        try:
            arrays[name] = np.array(value)  # the caller may change it later
        except ValueError as error:
            raise InputError(f"not an array: {error}", where=f"params['{name}']") from None
    return arrays


def _dtypes(given: object) -> str | dict[str, str]:
    """Names of dtypes, which may be given as NumPy's own.

    Raises: InputError: one is none.
    """
    if isinstance(given, Mapping):
        pairs = cast("Mapping[str, object]", given)
        return {name: _dtype_name(dtype) for name, dtype in pairs.items()}
    return _dtype_name(given)


def _dtype_name(given: object) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, np.dtype | type):
        with suppress(TypeError):
            return np.dtype(cast("type", given)).name
    raise InputError(f"expected a dtype, got {given!r}", where="dtype", hint="dtype='float32'")


def _check_known(module: ModuleOp) -> None:
    """Refuse inputs whose shape does not follow from what was given.

    Raises: InputError.
    """
    unknown = [str(each) for each in input_signatures(module) if not each.is_static]
    names = [each.name for each in input_signatures(module) if not each.is_static]
    if unknown:
        listed = ", ".join(
            f"'{name}' ({known})" for name, known in zip(names, unknown, strict=True)
        )
        raise InputError(
            f"the shapes given do not say those of {listed}", hint=f"shape={{'{names[0]}': (...)}}"
        )


def _compile_in(module: ModuleOp, params: Mapping[str, Array]) -> None:
    """Turn inputs of main into constants."""
    main = main_function(module)
    names = input_names(main)
    block = main.body.block
    for name, argument in reversed(list(zip(names, block.args, strict=True))):
        if name in params:
            constant = ConstantOp.of(params[name])
            first = block.first_op
            assert first is not None, "main ends with func.return"
            block.insert_op_before(constant, first)
            argument.replace_all_uses_with(constant.res)
            block.erase_arg(argument)
    main.attributes[INPUT_NAMES] = strings([name for name in names if name not in params])
    main.update_function_type()
