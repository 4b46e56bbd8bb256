"""Machines as data: what a schedule and an emitter must know of a CPU.

Names: `cpu` or `llvm` (this machine), `x86-64-v3` (AVX2), `x86-64-v4` (AVX-512), `aarch64-neon`,
and those that users register.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from math import gcd
from typing import Any, cast

from ..core import extensions
from ..core.errors import UnsupportedError, did_you_mean


@dataclass(frozen=True)
class Target:
    """One machine.

    Attributes:
        vector_bits: width of the registers that fp32 arithmetic uses.
        registers: how many of them a kernel may use.
        l1_bytes, l2_bytes: data caches of one core; l3_bytes: shared by some.
        l1_ways, l2_ways: lines of a cache that may have the same place in it.
        fma_latency, fma_per_cycle: cycles, and vector FMAs begun in each.
        fma_bits: what an FMA unit does at once; a vector that is wider is taken in parts.
        memory_latency: cycles from a prefetch to the use of its line.
        loads_per_cycle: vectors, or scalars that are broadcast.
        dram_bytes_per_cycle: what one core reads from memory.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bits: int
    registers: int
    l1_bytes: int = 32 * 1024
    l1_ways: int = 8
    l2_bytes: int = 1024 * 1024
    l2_ways: int = 8
    l3_bytes: int = 32 * 1024 * 1024
    fma_latency: int = 4
    fma_per_cycle: int = 2
    fma_bits: int = 512
    memory_latency: int = 450
    loads_per_cycle: int = 2
    dram_bytes_per_cycle: float = 6.0

    @property
    def lanes(self) -> int:
        """fp32 elements in a register."""
        return self.vector_bits // 32

    def fma_vectors(self, elements: int) -> float:
        """The time that an FMA over so many fp32 elements takes, in FMAs of whole vectors.

        >>> replace(TARGETS["x86-64-v4"], fma_bits=256).fma_vectors(24)
        1.5
        """
        at_once = min(self.fma_bits, self.vector_bits) // 32
        return -(-elements // at_once) * at_once / self.lanes

    def bytes_per_cycle(self, size: int) -> float:
        """How fast one core reads `size` bytes that it has used last long ago."""
        if size < self.l2_bytes * 0.6:
            return 64.0
        return 24.0 if size < self.l3_bytes * 0.6 else self.dram_bytes_per_cycle

    def l1_keeps(self, stride: int) -> int:
        """How many lines that lie `stride` bytes apart stay in the first cache."""
        return _kept(stride, self.l1_bytes, self.l1_ways)

    def l2_keeps(self, stride: int) -> int:
        """The same of the second."""
        return _kept(stride, self.l2_bytes, self.l2_ways)

    @property
    def has_masks(self) -> bool:
        """Whether masked loads and stores run at full speed (AVX-512)."""
        return self.vector_bits == 512


def _kept(stride: int, size: int, ways: int) -> int:
    """Lines a multiple of `size / ways` apart share one place, which holds as many as `ways`.

    >>> _kept(64, 32768, 8), _kept(3072, 32768, 8), _kept(4096, 32768, 8)
    (512, 32, 8)
    """
    way = size // ways
    return way // gcd(way, stride) * ways


_X86 = "x86_64-unknown-linux-gnu"
_V3 = "+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe,+popcnt"
_V4 = "+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"

TARGETS: dict[str, Target] = {
    "x86-64-v3": Target("x86-64-v3", _X86, "x86-64-v3", _V3, 256, 16),
    "x86-64-v4": Target("x86-64-v4", _X86, "x86-64-v4", f"{_V3},{_V4}", 512, 32),
    "aarch64-neon": Target(
        "aarch64-neon", "aarch64-unknown-linux-gnu", "cortex-a76", "+neon", 128, 32
    ),
}
KIND = "target"
ALIASES = ("cpu", "llvm")
"""Of this machine."""
DEFAULT = "x86-64-v4"
"""What nn-opt assumes, so that its output does not differ by machine."""


def resolve(name: str = "cpu") -> Target:
    """The target of this name.

    Raises: UnsupportedError: no such target, or this machine is none that we know.
    """
    if name in (*ALIASES, *TARGETS):  # which needs no plug-in
        return host() if name in ALIASES else TARGETS[name]
    users = extensions.table(KIND)
    known = ["cpu", *TARGETS, *users]
    hint = f"targets: {', '.join(known)}"
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UnsupportedError(f"expected the name of a target, got {name!r}", hint=hint)
    if name in users:
        return users[name].value
    raise UnsupportedError(
        f"unknown target '{name}'", hint=did_you_mean(name.lower(), known) or hint
    )


@cache
def host() -> Target:
    """This machine, named by the vector extension found on it."""
    llvm: Any = import_module("llvmlite.binding")
    triple = llvm.get_default_triple()
    features = llvm.get_host_cpu_features()
    has = cast("dict[str, bool]", features)
    if triple.startswith("x86_64"):
        # Wide registers only where the whole level is there: masks, and 32 registers.
        wide = all(has.get(f) for f in ("avx512f", "avx512bw", "avx512dq", "avx512vl"))
        if not (wide or (has.get("avx2") and has.get("fma"))):
            raise UnsupportedError("this CPU has neither AVX2 with FMA nor AVX-512")
        base = TARGETS["x86-64-v4" if wide else "x86-64-v3"]
    elif triple.startswith("aarch64"):
        base = TARGETS["aarch64-neon"]
    else:
        raise UnsupportedError(f"no target for this machine ({triple})")
    tuned = replace(base, triple=triple, cpu=llvm.get_host_cpu_name(), features=features.flatten())
    # Zen 1 runs a 256-bit FMA as two halves, Zen 4 a 512-bit one.
    if tuned.cpu in ("znver1", "znver4"):
        return replace(tuned, fma_per_cycle=1, fma_bits=tuned.vector_bits // 2)
    return tuned
