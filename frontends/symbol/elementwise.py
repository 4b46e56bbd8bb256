"""NNVM's elementwise operators: of one tensor, of two, with broadcasting, with a scalar."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import i1

from ...dialects.graph.types import info
from .emit import Emitter, Value
from .operators import Operator, operator


def _unary(onnx_name: str) -> Callable[..., Value]:
    def lower(emit: Emitter, data: Value) -> Value:
        return emit(onnx_name, data)

    return lower


def _binary(onnx_name: str, **properties: str | int) -> Callable[..., Value]:
    def lower(emit: Emitter, lhs: Value, rhs: Value) -> Value:
        return emit(onnx_name, lhs, rhs, **properties)

    return lower


def _comparison(*onnx_names: str) -> Callable[..., Value]:
    """0 or 1 in the operands' element type, as NNVM has it."""

    def lower(emit: Emitter, lhs: Value, rhs: Value) -> Value:
        result = emit(onnx_names[0], lhs, rhs)
        for name in onnx_names[1:]:
            result = emit(name, result)
        return emit("CastLike", result, lhs)

    return lower


def _scalar(onnx_name: str, *, swapped: bool = False, **properties: str) -> Callable[..., Value]:
    def lower(emit: Emitter, data: Value, *, scalar: float) -> Value:
        number = emit.scalar_like(scalar, data)
        pair = (number, data) if swapped else (data, number)
        return emit(onnx_name, *pair, **properties)

    return lower


_UNARY = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "negative": "Neg",
    "floor": "Floor",
    "ceil": "Ceil",
    "abs": "Abs",
}
_ARITHMETIC = {
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "div": _binary("Div"),
    "mod": _binary("Mod", fmod=1),
    "pow": _binary("Pow"),
}
_BROADCAST_ONLY = {
    "max": _binary("Max"),
    "min": _binary("Min"),
    "left_shift": _binary("BitShift", direction="LEFT"),
    "right_shift": _binary("BitShift", direction="RIGHT"),
    "greater": _comparison("Greater"),
    "less": _comparison("Less"),
    "equal": _comparison("Equal"),
    "not_equal": _comparison("Equal", "Not"),
    "greater_equal": _comparison("GreaterOrEqual"),
    "less_equal": _comparison("LessOrEqual"),
}
_SCALAR = {
    "add": _scalar("Add"),
    "sub": _scalar("Sub"),
    "rsub": _scalar("Sub", swapped=True),
    "mul": _scalar("Mul"),
    "div": _scalar("Div"),
    "rdiv": _scalar("Div", swapped=True),
    "pow": _scalar("Pow"),
    "rpow": _scalar("Pow", swapped=True),
    "lshift": _scalar("BitShift", direction="LEFT"),
    "rshift": _scalar("BitShift", direction="RIGHT"),
}

TABLE: dict[str, Operator] = {
    **{name: Operator(name, _unary(onnx_name)) for name, onnx_name in _UNARY.items()},
    **{f"elemwise_{n}": Operator(f"elemwise_{n}", lower) for n, lower in _ARITHMETIC.items()},
    **{
        f"broadcast_{n}": Operator(f"broadcast_{n}", lower)
        for n, lower in (_ARITHMETIC | _BROADCAST_ONLY).items()
    },
    **{n: Operator(n, _BROADCAST_ONLY[n]) for n in ("greater", "less")},
    **{f"__{n}_scalar__": Operator(f"__{n}_scalar__", lower) for n, lower in _SCALAR.items()},
}


@operator()
def elemwise_sum(emit: Emitter, *args: Value, num_args: int = 0) -> Value:
    """The sum of any number of tensors."""
    del num_args  # NNVM counts; Python knows
    return emit("Sum", *args)


@operator(name="round")
def round_(emit: Emitter, data: Value) -> Value:
    """To the nearest integer, halves away from zero."""
    nearest = emit("Floor", emit("Add", emit("Abs", data), emit.scalar_like(0.5, data)))
    return emit("Mul", emit("Sign", data), nearest)


@operator()
def trunc(emit: Emitter, data: Value) -> Value:
    """Towards zero."""
    return emit("Mul", emit("Sign", data), emit("Floor", emit("Abs", data)))


@operator()
def clip(emit: Emitter, data: Value, *, a_min: float, a_max: float) -> Value:
    """Into [a_min, a_max]."""
    return emit("Clip", data, emit.scalar_like(a_min, data), emit.scalar_like(a_max, data))


@operator()
def where(emit: Emitter, condition: Value, x: Value, y: Value) -> Value:
    """X where the condition is not zero, else y."""
    if info(condition).element != i1:
        condition = emit("Cast", condition, to=i1)
    return emit("Where", condition, x, y)
