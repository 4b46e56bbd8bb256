"""Transcendental functions against f64, in units in the last place, over the whole range of f32.

Rows of 31 elements are registers of 16, 8, 4, 2 and 1 lanes (8, 8, 8, 4, 2, 1 with AVX2).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from nnc.compiler.emulated import can_run, runnable
from nnc.dialects.loop import KernelOp as LoopKernelOp
from nnc.dialects.te import KernelOp
from nnc.lowering.llvm_to_object import compile as to_object
from nnc.lowering.loop_to_llvm import emit_kernel
from nnc.lowering.te_to_loop.kernel import KernelConverter
from nnc.passes.loop.form_tiles import form_tiles
from nnc.schedules.replay import Schedule
from nnc.targets import TARGETS, resolve
from nnc.textir import parse

Array = np.ndarray[Any, Any]
Reference = Callable[..., Array]
ROW = 31
MACHINES = [
    pytest.param(name, marks=pytest.mark.skipif(not can_run(resolve(name)), reason="cannot run"))
    for name in ("cpu", "x86-64-v3", "aarch64-neon")
]


def erf(x: Array) -> Array:
    return np.array([math.erf(value) for value in x.tolist()])


FUNCTIONS: dict[str, tuple[Reference, float]] = {
    "exp": (np.exp, 0.9),
    "log": (np.log, 0.9),
    "log1p": (np.log1p, 0.9),
    "tanh": (np.tanh, 1.5),
    "erf": (erf, 1.0),
    "sin": (np.sin, 1.5),
    "cos": (np.cos, 1.5),
    "tan": (np.tan, 0.501),
    "exp2": (np.exp2, 0.501),
    "expm1": (np.expm1, 0.501),
    "log2": (np.log2, 0.501),
    "log10": (np.log10, 0.501),
    "cbrt": (np.cbrt, 0.501),
    "sinh": (np.sinh, 0.501),
    "cosh": (np.cosh, 0.501),
    "asin": (np.arcsin, 0.501),
    "acos": (np.arccos, 0.501),
    "atan": (np.arctan, 0.501),
    "asinh": (np.arcsinh, 0.501),
    "acosh": (np.arccosh, 0.501),
    "atanh": (np.arctanh, 0.501),
}
DOUBLE_ERRORS = {
    **dict.fromkeys(("tanh", "sinh", "cosh", "asinh", "acosh", "atanh", "log10"), 2),
    "cbrt": 4,
}
"""Units in the last place of f64, where it is more than one."""
BINARY: dict[str, tuple[Reference, float]] = {
    "powf": (np.power, 0.501),
    "atan2": (np.arctan2, 0.501),
}


def formed(name: str, rows: int, arity: int, element: str) -> LoopKernelOp:
    """One function of every element of [rows, 31] arrays."""
    names = "xy"[:arity]
    type_ = f"tensor<{rows}x{ROW}x{element}>"
    args = ", ".join(f"%{arg}: {type_}" for arg in names)
    reads = ", ".join(f"%{arg}[i, j]" for arg in names)
    text = f"""
    te.kernel @k({args}) -> {type_} {{
      %z = te.compute @z [i: {rows}, j: {ROW}] {{ {name}({reads}) }} : {type_}
      te.return %z
    }}
    """
    made = next(iter(parse(text).ops))
    assert isinstance(made, KernelOp)
    kernel = KernelConverter(made).convert()
    ModuleOp([kernel])
    Schedule(kernel).vectorize("z.j")
    form_tiles(kernel)
    return kernel


def call(name: str, *args: Array, element: str = "f32", machine: str = "cpu") -> Array:
    padding = -len(args[0]) % ROW
    rows = [np.append(arg, np.ones(padding, arg.dtype)).reshape(-1, ROW) for arg in args]
    kernel = formed(name, len(rows[0]), len(args), element)
    return runnable(kernel, resolve(machine))(*rows)[0].reshape(-1)[: len(args[0])]


def check(got: Array, exact: Array, limit: float) -> None:
    """Errors in units of what distinguishes neighbouring f32 there; NaN and signs exactly."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
        _, exponent = np.frexp(np.maximum(abs(exact), 2.0**-126))
        error = abs(got.astype(np.float64) - exact) / np.ldexp(1.0, exponent - 24)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    error = np.where(same, np.minimum(np.nan_to_num(error, nan=0, posinf=0), 0.5), error)
    # Where overflow begins, the largest number is one unit from infinity.
    largest = np.float32(np.finfo(np.float32).max)
    error = np.where(np.isinf(rounded) & (got == np.copysign(largest, rounded)), 1, error)
    worst = np.nan_to_num(error, nan=np.inf).argmax()
    assert error[worst] <= limit, f"{error[worst]} units: {got[worst]!r}, not {exact[worst]!r}"
    signed = ~np.isnan(exact)
    assert (np.signbit(got) == np.signbit(rounded))[signed].all()


def from_bits(bits: Any) -> Array:
    return np.asarray(bits, np.uint64).astype(np.uint32).view(np.float32)


def whole_range() -> Array:
    """Every 7919th number, the ends of the format, and where formulas change."""
    ends = [0, 1, 2, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF]
    near = np.array(
        [0.55, 0.927734375, 1, 2, 4, 9.5, 32768, 2**-12, 2**-24, 2**-26, 88.7228, 103.97, 126, 128],
        np.float32,
    )
    around = (near.view(np.uint32)[:, None] + np.arange(-40, 41)).ravel()
    positive = np.concatenate([np.array(ends), around])
    return from_bits(np.concatenate([np.arange(0, 2**32, 7919), positive, positive | 1 << 31]))


def near_multiples_of_half_pi() -> Array:
    """The f32 next to multiples, where the reduction cancels most; the last is the worst of all."""
    quotients = np.concatenate([np.arange(1, 30000), 2 ** np.arange(15, 127)])
    multiples = (quotients * (np.pi / 2)).astype(np.float32)
    return np.append(multiples, np.float32(16367173 * 2.0**72))


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_units_in_the_last_place(name: str, machine: str) -> None:
    reference, limit = FUNCTIONS[name]
    x = np.concatenate([whole_range(), near_multiples_of_half_pi()])
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.float64))
    check(call(name, x, machine=machine), exact, limit)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two(name: str, machine: str) -> None:
    reference, limit = BINARY[name]
    rng = np.random.default_rng(7)
    special = np.array(
        [
            *(0.0, 0.5, 1, 1.5, 2, 3, 1 / 3, np.inf, np.nan, 1e-45, 1.17549435e-38, 3e38),
            *(2**24 - 1, 2**24, 2**24 + 2, 0.99999994, 1.0000001),
        ],
        np.float32,
    )
    special = np.concatenate([special, -special])
    pairs = [[v.ravel() for v in np.meshgrid(special, special)]]
    pairs.append([from_bits(rng.integers(0, 2**32, 200_000, np.uint64)) for _ in range(2)])
    # Results of every size, from bases far from 1 and next to it.
    for bases in (np.exp(rng.uniform(-80, 80, 200_000)), 1 + rng.uniform(-0.01, 0.01, 200_000)):
        base = bases.astype(np.float32)
        with np.errstate(all="ignore"):
            power = rng.uniform(-105, 90, len(base)) / np.log(base.astype(np.float64))
        pairs.append([base, power.astype(np.float32)])
    whole = rng.integers(-20, 20, 50_000).astype(np.float32)
    pairs.append([rng.uniform(-30, 30, len(whole)).astype(np.float32), whole])
    x, y = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.float64), y.astype(np.float64))
    check(call(name, x, y, machine=machine), exact, limit)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_half_precision_is_rounded_once(name: str) -> None:
    """Every f16: one f32 rounding before it moves a result by much less than half a unit."""
    reference, _ = FUNCTIONS[name]
    x = np.arange(2**16, dtype=np.uint32).astype(np.uint16).view(np.float16)
    got = call(name, x, element="f16")
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.float64))
        rounded = exact.astype(np.float16)
        _, exponent = np.frexp(np.maximum(abs(exact), 2.0**-14))
        error = abs(got.astype(np.float64) - exact) / np.ldexp(1.0, exponent - 11)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    assert (same | (error <= 0.5002)).all()


def doubles(seed: int) -> Array:
    """Of every size, and where functions are not trivial."""
    rng = np.random.default_rng(seed)
    special = np.array([0.0, np.inf, np.nan, 5e-324, 2.0**-1022, 1.0, np.pi, 709.7, 1.7e308])
    parts = [
        rng.integers(0, 2**64, 8000, np.uint64).view(np.float64),
        *(rng.uniform(-size, size, 4000) for size in (1, 30, 800)),
        *(special, -special),
    ]
    return np.concatenate(parts)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="nothing more exact than f64")
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", [*(name for name in FUNCTIONS if name != "erf"), *BINARY])
def test_doubles_are_the_c_library_s(name: str, machine: str) -> None:
    """Of glibc, whose largest errors are 4 units (cbrt) and 2 (the hyperbolic ones)."""
    reference, _ = (FUNCTIONS | BINARY)[name]
    args = [doubles(seed) for seed in range(2 if name in BINARY else 1)]
    got = call(name, *args, element="f64", machine=machine)
    with np.errstate(all="ignore"):
        exact = reference(*(arg.astype(np.longdouble) for arg in args))
        rounded = exact.astype(np.float64)
        _, exponent = np.frexp(np.maximum(abs(exact), 2.0**-1022))
        error = abs(got - exact) / np.ldexp(np.longdouble(1), exponent - 53)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    assert np.where(same, 0, error).max() <= DOUBLE_ERRORS.get(name, 1)


@pytest.mark.parametrize("machine", MACHINES)
def test_erf_of_doubles_is_the_c_library_s(machine: str) -> None:
    x = doubles(0)
    np.testing.assert_allclose(
        call("erf", x, element="f64", machine=machine), erf(x), rtol=2.0**-52, atol=0
    )


@pytest.mark.parametrize("machine", TARGETS)
@pytest.mark.parametrize("name", [*FUNCTIONS, *BINARY])
def test_single_precision_needs_no_library(name: str, machine: str) -> None:
    """An object for every target, whose only symbol is its own."""
    target = TARGETS[machine]
    kernel = formed(name, 2, 2 if name in BINARY else 1, "f32")
    code = to_object(emit_kernel(kernel, target).llvm_text, target)
    library = {"powf": "pow"}.get(name, name)
    for symbol in (library, f"{library}f", "fma", "fmaf", "roundeven", "roundevenf"):
        assert b"\0" + symbol.encode() + b"\0" not in code
