"""zen2: AVX2 with FMA, a smaller second cache and a larger third one than x86-64-v3 has."""

from dataclasses import replace

import nnc
from nnc.targets import resolve

ZEN2 = replace(
    resolve("x86-64-v3"),
    name="zen2",
    cpu="znver2",
    l2_bytes=512 * 1024,
    l3_bytes=16 * 1024 * 1024,
    fma_latency=5,
)
nnc.register_target(ZEN2)
