"""Scalar ops as operators and functions: `a + b` is addf or addi, `exp(x)` is math.exp.

One table for reading and writing. An op with a property that is not its default is written in the
uniform form.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import Attribute, Operation

from .declared import declared
from .literals import type_of

OPERATORS: dict[str, tuple[str, str]] = {
    "+": ("arith.addf", "arith.addi"),
    "-": ("arith.subf", "arith.subi"),
    "*": ("arith.mulf", "arith.muli"),
    "/": ("arith.divf", "arith.divsi"),
}
"""For floats, for integers."""
COMPARISONS: dict[str, tuple[str, str]] = {
    "==": ("oeq", "eq"),
    "!=": ("une", "ne"),
    "<": ("olt", "slt"),
    "<=": ("ole", "sle"),
    ">": ("ogt", "sgt"),
    ">=": ("oge", "sge"),
}
"""The predicate for floats, for integers."""
OVERLOADED: dict[str, tuple[str, str]] = {
    "max": ("arith.maximumf", "arith.maxsi"),
    "min": ("arith.minimumf", "arith.minsi"),
    "abs": ("math.absf", "math.absi"),
}
_ARITH_BINARY = (
    "addf subf mulf divf maximumf minimumf maxnumf minnumf addi subi muli divsi divui remsi "
    "remui floordivsi ceildivsi ceildivui maxsi minsi maxui minui andi ori xori shli shrsi shrui"
)
_MATH_UNARY = (
    "absf absi ceil floor round roundeven trunc exp exp2 expm1 log log10 log1p log2 sqrt rsqrt "
    "cbrt erf sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh"
)
_CASTS = "extf truncf sitofp uitofp fptosi fptoui extsi extui trunci bitcast index_cast"
FUNCTIONS: dict[str, tuple[str, int]] = {
    **{name: (f"arith.{name}", 2) for name in _ARITH_BINARY.split()},
    **{name: (f"math.{name}", 1) for name in _MATH_UNARY.split()},
    **{name: (f"math.{name}", 2) for name in ("powf", "atan2", "copysign")},
    "negf": ("arith.negf", 1),
    "fma": ("math.fma", 3),
}
"""Ops whose operands and result have one type, and how many operands."""
PREDICATES = {"isnan": "math.isnan", "isinf": "math.isinf", "isfinite": "math.isfinite"}
"""Of one operand, to i1."""
CASTS = {name: f"arith.{name}" for name in _CASTS.split()}
"""`extf(x, f64)`: the last argument is the type."""
CMPF = [
    "false",
    "oeq",
    "ogt",
    "oge",
    "olt",
    "ole",
    "one",
    "ord",
    "ueq",
    "ugt",
    "uge",
    "ult",
    "ule",
    "une",
    "uno",
    "true",
]
CMPI = ["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"]

_OPERATOR_OF = {op: mark for mark, ops in OPERATORS.items() for op in ops}
_OVERLOAD_OF = {op: name for name, ops in OVERLOADED.items() for op in ops}
_FUNCTION_OF = {op: name for name, (op, _) in FUNCTIONS.items()}
_PREDICATE_OF = {op: name for name, op in PREDICATES.items()}
_CAST_OF = {op: name for name, op in CASTS.items()}
_PRECEDENCE = {"+": 2, "-": 2, "*": 3, "/": 3}
COMPARE_LEVEL, UNARY_LEVEL, ATOM_LEVEL = 1, 4, 5


@cache
def default_properties(op_class: type[Operation]) -> dict[str, Attribute]:
    """What a constructor sets when nothing is asked for."""
    known = declared(op_class)
    if known is None:
        return {}
    return {
        name: kind.default for name, kind in known.properties.items() if kind.default is not None
    }


def has_defaults(op: Operation) -> bool:
    """Whether an op says nothing beyond its operands."""
    return not op.attributes and op.properties == default_properties(type(op))


def spelling(op_name: str) -> tuple[str, str, int] | None:
    """(style, word, level) of an op: style is "operator", "unary", "function", "test" or "cast"."""
    if op_name in _OPERATOR_OF:
        mark = _OPERATOR_OF[op_name]
        return "operator", mark, _PRECEDENCE[mark]
    if op_name == "arith.negf":
        return "unary", "-", UNARY_LEVEL
    for style, table in (
        ("function", _OVERLOAD_OF),
        ("function", _FUNCTION_OF),
        ("test", _PREDICATE_OF),
        ("cast", _CAST_OF),
    ):
        if op_name in table:
            return style, table[op_name], ATOM_LEVEL
    return None


def comparison(op: Operation) -> tuple[str, str] | None:
    """("operator", "<") or ("function", "ult") of a cmpf or cmpi without further properties."""
    predicate = op.properties.get("predicate")
    if type_of(predicate) != i64 or op.attributes:
        return None
    rest = {name: value for name, value in op.properties.items() if name != "predicate"}
    if rest != default_properties(type(op)):
        return None
    is_float = op.name == "arith.cmpf"
    names = CMPF if is_float else CMPI
    number: int = cast("IntegerAttr[Any]", predicate).value.data
    if not 0 <= number < len(names):
        return None
    for mark, pair in COMPARISONS.items():
        if pair[0 if is_float else 1] == names[number]:
            return "operator", mark
    return "function", names[number]
