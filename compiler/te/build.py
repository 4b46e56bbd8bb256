"""A schedule, or tensors, to a function of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, TensorType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue

from ...core.dtypes import numpy_dtype
from ...core.errors import InputError
from ...core.irtypes import ints, strings
from ...dialects import te
from ...dialects.graph.base import ConstantOp
from ...dialects.loop import BufferType, KernelOp
from ...frontends.te.kernel import Kernel, create_kernel
from ...frontends.te.origin import located
from ...frontends.te.tensor import Tensor
from ...lowering.program.packing import pack
from ...passes.graph.bind_inputs import INPUT_NAMES
from ...runtime.arrays import Array
from ...runtime.inputs import accept
from ...runtime.outputs import check_filled
from ...runtime.program import TensorSpec
from ..options import Options
from ..program import Compiled, compile_module
from ..signature import OUTPUT_NAMES
from ..timing import Timings
from .schedule import Schedule

Params = Mapping[Tensor, Any]


class Function:
    """A compiled kernel: called with arrays, in the order of the arguments it was built for.

    Attributes:
        args: the tensors behind its arguments.
        compiled: the executable, the lowered kernel, its schedule and timings.
    """

    def __init__(self, args: Sequence[Tensor], kernel: Kernel, compiled: Compiled):
        self.args = tuple(args)
        self.compiled = compiled
        self._inputs = [x for x in args if x.op.kind == "placeholder"]
        self._outputs = [x for x in args if x.op.kind != "placeholder"]
        self._names = _argument_names(kernel)
        self._specs = {x: _spec(x, self._names.get(x, x.name)) for x in args}
        self._order = [kernel.outputs.index(x) for x in self._outputs]
        self._layouts: dict[Tensor, BufferType] = {}

    def __call__(self, *arrays: object) -> Array | tuple[Array, ...]:
        """Run on the inputs alone, or on all arguments: then the outputs are written.

        Returns: the outputs, one alone or a tuple of them, in the order of the arguments.
        Raises: InputError: number, shapes or dtypes of the arrays.
        """
        given = self._given(arrays)
        inputs = {
            self._names[x]: self._input(x, given[x]) for x in self._inputs if x in self._names
        }
        for tensor in self._inputs:
            if tensor not in self._names:
                accept(self._specs[tensor], given[tensor])
        results = list(self.compiled.executable(inputs).values())
        ordered = [results[position] for position in self._order]
        if len(arrays) == len(self.args):
            for tensor, result in zip(self._outputs, ordered, strict=True):
                self._write(tensor, given[tensor], result)
            ordered = [given[tensor] for tensor in self._outputs]
        return ordered[0] if len(ordered) == 1 else tuple(ordered)

    def _given(self, arrays: Sequence[object]) -> dict[Tensor, Any]:
        if len(arrays) not in (len(self._inputs), len(self.args)):
            every = ", ".join(str(self._specs[x]) for x in self.args)
            raise InputError(
                f"expected {len(self._inputs)} inputs, or {len(self.args)} arrays with outputs, "
                f"got {len(arrays)}",
                hint=f"the arguments are {every}",
            )
        whole = len(arrays) == len(self.args)
        return dict(zip(self.args if whole else self._inputs, arrays, strict=True))

    def _input(self, tensor: Tensor, value: object) -> object:
        layout = self._layouts.get(tensor)
        if layout is None:
            return value
        array = accept(self._specs[tensor], value)
        return pack(array, layout.layout_map, layout.physical_shape)

    def _write(self, tensor: Tensor, out: Array, result: Array) -> None:
        spec = self._specs[tensor]
        check_filled(spec.name, out, spec.shape, spec.dtype)
        np.copyto(out, result)

    def pack_inputs(self, layouts: Mapping[Tensor, BufferType]) -> None:
        """Lay these inputs out at every call."""
        self._layouts.update(layouts)


def build(
    outputs: Schedule | Tensor | Sequence[Tensor],
    args: Sequence[Tensor],
    target: str = "cpu",
    *,
    name: str | None = None,
    params: Params | None = None,
    threads: int | None = None,
    numerics: str = "fast",
) -> Function:
    """Compile a kernel.

    Args:
        outputs: a schedule; or tensors, whose kernel the schedule library schedules.
        args: the function's arguments in order: every placeholder that is read and has no content
            in `params`, and every output.
        target: "cpu" is this machine.
        name: the kernel's symbol, where no schedule has named it.
        params: content of placeholders that is known now: it is laid out and compiled in.
        threads: how many may work on one run.
        numerics: for the library, "strict" keeps the order of sums.

    Raises: NncError: arguments are missing or have no place, the kernel cannot be compiled.
    """
    with located:
        return _build(outputs, args, Options.of(target, threads, numerics), name, params or {})


def _build(
    outputs: Schedule | Tensor | Sequence[Tensor],
    args: Sequence[Tensor],
    options: Options,
    name: str | None,
    params: Params,
) -> Function:
    options.check_runs_here()
    _check_kinds(args, params)
    schedule = outputs if isinstance(outputs, Schedule) else None
    kernel = outputs.source if isinstance(outputs, Schedule) else create_kernel(outputs, None, name)
    # Copies: the caller may change the arrays later.
    contents = {x: np.array(accept(_spec(x, x.name), value)) for x, value in params.items()}
    check_arguments(args, kernel, contents)
    if schedule is not None:
        schedule.check()
    layouts = _layouts(schedule, kernel, contents)
    module = _module(kernel, schedule, contents, layouts)
    function = Function(args, kernel, compile_module(module, options, Timings()))
    function.pack_inputs(layouts)
    return function


def _check_kinds(args: object, params: object) -> None:
    """Raises: InputError: no list of tensors, or no mapping of tensors."""
    if not isinstance(args, list | tuple):
        raise InputError(f"expected a list of tensors as args, got {args!r}")
    if not isinstance(params, Mapping):
        hint = "give a dict, as {x: array}"
        raise InputError(f"expected arrays by tensor as params, got {params!r}", hint=hint)
    for each in (*cast("Sequence[object]", args), *cast("Mapping[object, object]", params)):
        if not isinstance(each, Tensor):
            raise InputError(f"expected a tensor as argument of build, got {each!r}")


def check_arguments(args: Sequence[Tensor], kernel: Kernel, contents: Mapping[Tensor, Any]) -> None:
    """Every input and output of the kernel has one place among the arguments.

    Raises: InputError.
    """
    if len(set(args)) != len(args):
        raise InputError("a tensor stands twice among the arguments of build")
    missing = [x.name for x in kernel.inputs if x not in args and x not in contents]
    missing += [x.name for x in kernel.outputs if x not in args]
    if missing:
        listed = ", ".join(f"'{name}'" for name in missing)
        raise InputError(f"the arguments of build lack {listed}", hint="list inputs and outputs")
    for tensor in args:
        if tensor in contents:
            raise InputError(f"'{tensor.name}' stands among the arguments and in params")
        if tensor.op.kind != "placeholder" and tensor not in kernel.outputs:
            raise InputError(
                f"'{tensor.name}' is computed on the way, and no output of the schedule",
                hint="create_schedule([...]) takes all outputs",
            )
    if unknown := [x.name for x in contents if x not in kernel.inputs]:
        raise InputError(f"the kernel does not read '{unknown[0]}', which is in params")


def _argument_names(kernel: Kernel) -> dict[Tensor, str]:
    names = [name.data for name in kernel.op.arg_names]
    return dict(zip(kernel.inputs, names, strict=True))


def _spec(tensor: Tensor, name: str) -> TensorSpec:
    return TensorSpec(name, tensor.shape, numpy_dtype(tensor.dtype))


def _layouts(
    schedule: Schedule | None, kernel: Kernel, contents: Mapping[Tensor, Any]
) -> dict[Tensor, BufferType]:
    """The physical types of inputs that the schedule packs and whose content is not known."""
    if schedule is None:
        return {}
    types = _buffer_types(schedule.kernel)
    pairs = zip(kernel.inputs, types, strict=False)
    return {x: t for x, t in pairs if t.layout.name != "none" and x not in contents}


def _buffer_types(kernel: KernelOp) -> list[BufferType]:
    return [type_ for type_ in kernel.body.block.arg_types if isinstance(type_, BufferType)]


def _module(
    kernel: Kernel,
    schedule: Schedule | None,
    contents: Mapping[Tensor, Array],
    layouts: Mapping[Tensor, BufferType],
) -> ModuleOp:
    """Main, which calls the kernel, the kernel, and its schedule."""
    names = _argument_names(kernel)
    inputs = [x for x in kernel.inputs if x not in contents]
    results: list[Attribute] = [TensorType(x.dtype, x.shape) for x in kernel.outputs]
    types: list[Attribute] = [
        TensorType(x.dtype, layouts[x].physical_shape if x in layouts else x.shape) for x in inputs
    ]
    main = FuncOp("main", (types, results))
    values: dict[Tensor, SSAValue] = dict(zip(inputs, main.body.block.args, strict=True))
    constants = {x: ConstantOp.of(array) for x, array in contents.items()}
    values.update((x, constant.res) for x, constant in constants.items())
    symbol = kernel.op.sym_name.data
    call = te.CallOp(symbol, [values[x] for x in kernel.inputs], results)
    main.body.block.add_ops([*constants.values(), call, ReturnOp(*call.results)])
    main.attributes[INPUT_NAMES] = strings([names[x] for x in inputs])
    outputs = [f"out{at}" for at in range(len(results))]
    main.attributes[OUTPUT_NAMES] = strings(outputs)
    ops: list[Operation] = [main, _callee(kernel, contents, schedule)]
    if schedule is not None:
        ops.append(schedule.to_ir())
    return ModuleOp(ops)


def _callee(
    kernel: Kernel, contents: Mapping[Tensor, Any], schedule: Schedule | None
) -> te.KernelOp:
    """A copy of the kernel; for the library, const is what has content."""
    copy = kernel.op.clone()
    if schedule is None:
        const = [at for at, x in enumerate(kernel.inputs) if x in contents]
        copy.const_args = _const(const)
    return copy


def _const(positions: Sequence[int]) -> ArrayAttr[Any] | None:
    return ints(positions) if positions else None
