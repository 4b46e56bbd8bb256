"""Give the inputs of a graph their shapes and element types; named extents become numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import cast

from xdsl.dialects import func
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import Rewriter

from ...core.dtypes import dtype_name, element_type
from ...core.errors import InputError, ModelError, did_you_mean
from ...core.locations import describe
from ...core.symbolic import Dim, Symbol, equal, substitute
from ...core.walk import walk
from ...dialects.graph.types import TensorInfo, info, layout, show, tensor_type

INPUT_NAMES = "nnc.input_names"
"""Attribute of the main function: the model's own names of its inputs."""


def main_function(module: ModuleOp) -> func.FuncOp:
    """The function that is the network: `@main`, or the only one.

    Raises: ModelError: there is none, or one without a body.
    """
    functions = [op for op in module.body.block.ops if isinstance(op, func.FuncOp)]
    named = [function for function in functions if function.sym_name.data == "main"]
    if len(named or functions) != 1:
        found = ", ".join(f"@{function.sym_name.data}" for function in functions)
        hint = f"its functions: {found}" if found else "a network is a `func.func @main`"
        raise ModelError("the module has no function @main", hint=hint)
    (main,) = named or functions
    if not main.body.blocks:
        raise ModelError(f"@{main.sym_name.data} has no body", where=describe(main))
    return main


def input_names(function: func.FuncOp) -> list[str]:
    """The names of a network's inputs: the model's own, else those of the text."""
    names = function.attributes.get(INPUT_NAMES)
    if isinstance(names, ArrayAttr):
        return [name.data for name in cast("ArrayAttr[StringAttr]", names)]
    return [arg.name_hint or f"arg{i}" for i, arg in enumerate(function.body.block.args)]


def bind_inputs(
    root: ModuleOp | func.FuncOp,
    shapes: Mapping[str, Sequence[int]],
    dtypes: Mapping[str, str] | str,
) -> None:
    """Set the types of inputs by name; extents that get a number get it everywhere.

    Args:
        root: a module, of which it is the main function, or the function alone; it is changed, and
            every type in it that mentions a bound extent.
        shapes: extents by input name.
        dtypes: NumPy dtype names by input name, or one for all inputs that have none.

    Raises: InputError: an unknown name, or a contradiction to what the input is.
    """
    function = root if isinstance(root, func.FuncOp) else main_function(root)
    args = dict(zip(input_names(function), function.body.block.args, strict=True))
    _check_names([*shapes, *(() if isinstance(dtypes, str) else dtypes)], list(args))
    for name, arg in args.items():
        known = info(arg)
        dtype = dtypes if isinstance(dtypes, str) else dtypes.get(name)
        if dtype is not None and not (isinstance(dtypes, str) and known.element is not None):
            set_type(arg, TensorInfo(known.dims, _bind_dtype(name, known.element, dtype)))
    values: dict[str, Dim] = {}
    for name, shape in shapes.items():
        _solve(name, info(args[name]), tuple(shape), values)
    _substitute_everywhere(root, values)
    for name, shape in shapes.items():  # types of arguments may be new values by now
        arg = function.body.block.args[list(args).index(name)]
        _check(name, info(arg), tuple(shape))
        set_type(arg, info(arg).with_dims(shape))


def _check_names(given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            inputs = f"inputs: {', '.join(known)}"
            hint = " ".join(filter(None, (did_you_mean(str(name), known), inputs)))
            raise InputError(f"the model has no input '{name}'", hint=hint)


def _bind_dtype(name: str, known: Attribute | None, dtype: str) -> Attribute:
    wanted = element_type(dtype)
    if known is not None and known != wanted:
        raise InputError(f"input '{name}' has dtype {dtype_name(known)}, got {dtype}")
    return wanted


def _solve(name: str, known: TensorInfo, shape: tuple[int, ...], values: dict[str, Dim]) -> None:
    """Note in `values` what the named extents of one input are."""
    _check(name, known, shape)
    for dim, extent in zip(known.dims or (), shape, strict=False):
        if isinstance(dim, int) or dim is None:
            continue
        bound = substitute(dim, values)
        if equal(bound, extent) is False:
            raise InputError(f"input '{name}': extent {dim} is {bound}, got {extent}")
        values.update(solved(bound, extent))


def solved(dim: Dim, extent: int) -> dict[str, Dim]:
    """The name in `factor * name + constant = extent` with its number, if it has one.

    >>> from ...core.symbolic import symbol
    >>> solved(2 * symbol("seq") + 1, 9)
    {'seq': 4}
    """
    if isinstance(dim, int):
        return {}
    (monomial, factor), *rest = dim.terms
    constant = rest[0][1] if rest else 0
    if len(monomial) != 1 or not isinstance(monomial[0], Symbol) or (rest and rest[0][0]):
        return {}
    value, remainder = divmod(extent - constant, factor)
    return {} if remainder or value < 0 else {monomial[0].name: value}


def _check(name: str, known: TensorInfo, shape: tuple[int, ...]) -> None:
    fits = known.dims is None or (
        len(shape) == len(known.dims)
        and all(
            dim is None or equal(dim, extent) is not False
            for dim, extent in zip(known.dims, shape, strict=True)
        )
    )
    if not fits or any(extent < 0 for extent in shape):
        raise InputError(f"input '{name}' has shape {show(known.dims or ())}, got {show(shape)}")


def _substitute_everywhere(root: Operation, values: Mapping[str, Dim]) -> None:
    if not values:
        return

    @cache
    def renewed(type_: Attribute) -> Attribute:
        if not _has_shape(type_):
            return type_
        found = info(type_)
        new = [None if dim is None else substitute(dim, values) for dim in found.dims or ()]
        return tensor_type(new, found.element, layout(type_))

    for op in walk(root):
        arguments = [arg for region in op.regions for block in region.blocks for arg in block.args]
        for value in (*op.results, *arguments):
            if (new_type := renewed(value.type)) != value.type:
                Rewriter.replace_value_with_new_type(value, new_type)


def set_type(value: SSAValue, known: TensorInfo) -> None:
    """Give a value the type that says `known`; a layout stays."""
    found = layout(value.type) if _has_shape(value.type) else None
    Rewriter.replace_value_with_new_type(value, tensor_type(known.dims, known.element, found))


def _has_shape(type_: Attribute) -> bool:
    return isinstance(type_, TensorType)
