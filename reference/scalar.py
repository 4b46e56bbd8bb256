"""NumPy meaning of the scalar ops of a body: arith and math, element by element.

Arithmetic happens in the IR's own element type; a function of math on f16 and bf16 is computed in
f32 and rounded once. Values are signless: `i8` is int8, and unsigned ops reinterpret the bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, FloatAttr, IntegerAttr
from xdsl.ir import Attribute, Operation

from ..core.dtypes import numpy_dtype
from ..core.errors import UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any]"
Meaning: TypeAlias = "Callable[[Operation, list[Array]], Array]"

NAMED_COMBINERS: dict[str, np.ufunc] = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
}


def attribute_value(attribute: Attribute) -> Array:
    """A number's attribute as a 0-d array of its element type."""
    if isinstance(attribute, FloatAttr):
        real = cast("FloatAttr[Any]", attribute)
        return np.asarray(real.value.data).astype(numpy_dtype(real.type))
    assert isinstance(attribute, IntegerAttr), f"expected a number, got {attribute}"
    number = cast("IntegerAttr[Any]", attribute)
    return np.asarray(number.value.data).astype(numpy_dtype(number.type))


def dense_value(values: DenseIntOrFPElementsAttr) -> Array:
    """A literal matrix as an array."""
    element = cast("Attribute", values.get_element_type())
    flat = np.asarray(values.get_values()).astype(numpy_dtype(element))
    return flat.reshape(values.get_shape())


def neutral(combiner: str, dtype: np.dtype[Any]) -> Array:
    """The neutral element of a named combiner."""
    if combiner in ("sum", "or"):
        return np.zeros((), dtype)
    if combiner == "prod":
        return np.ones((), dtype)
    if combiner == "and":
        return np.asarray(True if dtype == np.bool_ else -1).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return np.asarray(info.min if combiner == "max" else info.max, dtype)
    if dtype == np.bool_:
        return np.asarray(combiner == "min")
    return np.asarray(-math.inf if combiner == "max" else math.inf).astype(dtype)


def evaluate(op: Operation, args: list[Array]) -> Array:
    """The result of one pure scalar op, element by element (operands broadcast).

    Raises: UnsupportedError: the op has no meaning here.
    """
    meaning = SCALAR_OPS.get(op.name)
    if meaning is None:
        raise UnsupportedError(f"the reference has no meaning for {op.name}")
    with np.errstate(all="ignore"):
        return np.asarray(meaning(op, args))


def _result_dtype(op: Operation) -> np.dtype[Any]:
    type_ = op.results[0].type
    return numpy_dtype(getattr(type_, "element_type", type_))


def _plain(function: Callable[..., Any]) -> Meaning:
    """An op whose NumPy function keeps the element type."""

    def meaning(op: Operation, args: list[Array]) -> Array:
        return np.asarray(function(*args)).astype(args[0].dtype, copy=False)

    return meaning


def _modulo(function: Callable[..., Any]) -> Meaning:
    """Sums of integers wrap around; those of i1, which are no booleans here, modulo 2."""

    def meaning(op: Operation, args: list[Array]) -> Array:
        found = np.bitwise_xor if args[0].dtype == np.bool_ else function
        return np.asarray(found(*args))

    return meaning


def _real(function: Callable[..., Any]) -> Meaning:
    """A function of math: 16-bit floats go through f32."""

    def meaning(op: Operation, args: list[Array]) -> Array:
        dtype = args[0].dtype
        wide = [a.astype(np.float32) if dtype.itemsize == 2 else a for a in args]
        return np.asarray(function(*wide)).astype(dtype)

    return meaning


def _as_unsigned(value: Array) -> Array:
    if value.dtype == np.bool_:
        return value.astype(np.uint8)
    return value.view(np.dtype(f"uint{8 * value.dtype.itemsize}"))


def _unsigned(function: Callable[..., Any]) -> Meaning:
    def meaning(op: Operation, args: list[Array]) -> Array:
        result = np.asarray(function(*map(_as_unsigned, args)))
        if result.dtype == np.bool_:
            return result
        return result.view(args[0].dtype) if args[0].dtype != np.bool_ else result.astype(bool)

    return meaning


def _divide_towards_zero(x: Array, y: Array) -> Array:
    floor = x // y
    return floor + (((x < 0) != (y < 0)) & (floor * y != x))


def _divide_upwards(x: Array, y: Array) -> Array:
    return -(-x // y)


def _integer_power(x: Array, y: Array) -> Array:
    """X ** y; a negative power is 1 / x rounded towards zero."""
    inverse = np.where(y % 2 == 0, x * x, x) * (np.abs(x) == 1)
    return np.where(y < 0, inverse, np.power(x, np.maximum(y, 0)))


def _reciprocal_root(x: Array) -> Array:
    return 1 / np.sqrt(x)


def _round_half_away(x: Array) -> Array:
    whole = np.trunc(x)
    return np.where(np.abs(x - whole) >= 0.5, whole + np.copysign(np.ones_like(x), x), whole)


_erf = np.frompyfunc(math.erf, 1, 1)


def _error_function(x: Array) -> Array:
    return np.asarray(_erf(x.astype(np.float64))).astype(np.float64)


def _fused_multiply_add(x: Array, y: Array, z: Array) -> Array:
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    return (x.astype(wide) * y.astype(wide) + z.astype(wide)).astype(x.dtype)


def _convert(op: Operation, args: list[Array]) -> Array:
    return args[0].astype(_result_dtype(op))


def _convert_unsigned(op: Operation, args: list[Array]) -> Array:
    return _as_unsigned(args[0]).astype(_result_dtype(op))


def _float_to_unsigned(op: Operation, args: list[Array]) -> Array:
    dtype = _result_dtype(op)
    return args[0].astype(np.dtype(f"uint{8 * dtype.itemsize}")).view(dtype)


def _bitcast(op: Operation, args: list[Array]) -> Array:
    return args[0].view(_result_dtype(op))


def _truncate_int(op: Operation, args: list[Array]) -> Array:
    dtype = _result_dtype(op)
    return (args[0] & 1).astype(bool) if dtype == np.bool_ else args[0].astype(dtype)


def _sign_extend(op: Operation, args: list[Array]) -> Array:
    value = args[0].astype(_result_dtype(op))
    return -value if args[0].dtype == np.bool_ else value


def _constant(op: Operation, args: list[Array]) -> Array:
    return attribute_value(op.properties["value"])


_INT_COMPARISONS: tuple[tuple[np.ufunc, bool], ...] = (
    *((np.equal, False), (np.not_equal, False)),
    *((np.less, False), (np.less_equal, False), (np.greater, False), (np.greater_equal, False)),
    *((np.less, True), (np.less_equal, True), (np.greater, True), (np.greater_equal, True)),
)
_FLOAT_COMPARISONS = (np.equal, np.greater, np.greater_equal, np.less, np.less_equal, np.not_equal)


def _predicate(op: Operation) -> int:
    return cast("IntegerAttr[Any]", op.properties["predicate"]).value.data


def _compare_int(op: Operation, args: list[Array]) -> Array:
    function, unsigned = _INT_COMPARISONS[_predicate(op)]
    return function(*map(_as_unsigned, args)) if unsigned else function(*args)


def _compare_float(op: Operation, args: list[Array]) -> Array:
    predicate = _predicate(op)
    unordered = np.isnan(args[0]) | np.isnan(args[1])
    if predicate in (0, 15):
        return np.full(unordered.shape, predicate == 15)
    if predicate in (7, 14):
        return ~unordered if predicate == 7 else unordered
    if predicate < 7:
        return np.asarray(_FLOAT_COMPARISONS[predicate - 1](*args)) & ~unordered
    return np.asarray(_FLOAT_COMPARISONS[predicate - 8](*args)) | unordered


def _select(op: Operation, args: list[Array]) -> Array:
    return np.where(args[0], args[1], args[2])


_ARITH: dict[str, Meaning] = {
    "constant": _constant,
    "addf": _plain(np.add),
    "subf": _plain(np.subtract),
    "mulf": _plain(np.multiply),
    "divf": _plain(np.divide),
    "negf": _plain(np.negative),
    "maximumf": _plain(np.maximum),
    "minimumf": _plain(np.minimum),
    "maxnumf": _plain(np.fmax),
    "minnumf": _plain(np.fmin),
    "addi": _modulo(np.add),
    "subi": _modulo(np.subtract),
    "muli": _plain(np.multiply),
    "divsi": _plain(_divide_towards_zero),
    "divui": _unsigned(np.floor_divide),
    "floordivsi": _plain(np.floor_divide),
    "ceildivsi": _plain(_divide_upwards),
    "remsi": _plain(np.fmod),
    "remui": _unsigned(np.remainder),
    "maxsi": _plain(np.maximum),
    "minsi": _plain(np.minimum),
    "maxui": _unsigned(np.maximum),
    "minui": _unsigned(np.minimum),
    "andi": _plain(np.bitwise_and),
    "ori": _plain(np.bitwise_or),
    "xori": _plain(np.bitwise_xor),
    "shli": _plain(np.left_shift),
    "shrsi": _plain(np.right_shift),
    "shrui": _unsigned(np.right_shift),
    "cmpi": _compare_int,
    "cmpf": _compare_float,
    "select": _select,
    "extf": _convert,
    "truncf": _convert,
    "sitofp": _convert,
    "uitofp": _convert_unsigned,
    "fptosi": _convert,
    "fptoui": _float_to_unsigned,
    "extsi": _sign_extend,
    "extui": _convert_unsigned,
    "trunci": _truncate_int,
    "bitcast": _bitcast,
    "index_cast": _convert,
}

_MATH: dict[str, Meaning] = {
    "absf": _plain(np.abs),
    "absi": _plain(np.abs),
    "ceil": _real(np.ceil),
    "floor": _real(np.floor),
    "trunc": _real(np.trunc),
    "round": _real(_round_half_away),
    "roundeven": _real(np.rint),
    "exp": _real(np.exp),
    "exp2": _real(np.exp2),
    "expm1": _real(np.expm1),
    "log": _real(np.log),
    "log10": _real(np.log10),
    "log1p": _real(np.log1p),
    "log2": _real(np.log2),
    "sqrt": _real(np.sqrt),
    "rsqrt": _real(_reciprocal_root),
    "cbrt": _real(np.cbrt),
    "erf": _real(_error_function),
    "sin": _real(np.sin),
    "cos": _real(np.cos),
    "tan": _real(np.tan),
    "sinh": _real(np.sinh),
    "cosh": _real(np.cosh),
    "tanh": _real(np.tanh),
    "asin": _real(np.arcsin),
    "acos": _real(np.arccos),
    "atan": _real(np.arctan),
    "asinh": _real(np.arcsinh),
    "acosh": _real(np.arccosh),
    "atanh": _real(np.arctanh),
    "powf": _real(np.power),
    "ipowi": _plain(_integer_power),
    "atan2": _real(np.arctan2),
    "copysign": _real(np.copysign),
    "fma": _real(_fused_multiply_add),
}

SCALAR_OPS: dict[str, Meaning] = {
    **{f"arith.{name}": meaning for name, meaning in _ARITH.items()},
    **{f"math.{name}": meaning for name, meaning in _MATH.items()},
}
"""By op name; an elementwise tile op has the meaning of its SOURCE_NAME."""
