"""The measured kernels as te and sched text, with tile sizes for each kind of register file."""

from __future__ import annotations

from nnc.targets import Target

_MATMUL = """
te.kernel @matmul_add_relu(%x: tensor<128x768xf32>, %w: tensor<768x3072xf32> const,
                           %b: tensor<3072xf32> const) -> tensor<128x3072xf32> {{
  %c = te.compute @c [i: 128, j: 3072] sum [k: 768] {{ %x[i, k] * %w[k, j] }} : tensor<128x3072xf32>
  %y = te.compute @y [i: 128, j: 3072] {{ max(%c[i, j] + %b[j], 0.0) }} : tensor<128x3072xf32>
  te.return %y
}}
sched.schedule @matmul_add_relu {{
  split y.j, {width}
  split y.i, {rows}
  reorder y.j.o, y.i.o, y.i.i, y.j.i
  compute_at c, y.i.o
  reorder c.k, c.i, c.j
  set_scope c, register
  pack w, (d0, d1) -> (d1 floordiv {width}, d0, d1 mod {width})
  parallel y.j.o
  unroll c.i
  vectorize c.j
  unroll y.i.i
  vectorize y.j.i
}}
"""

_CONVOLUTION = """
te.kernel @conv(%x: tensor<1x64x56x56xf32, {x_layout}>, %w: tensor<64x64x3x3xf32> const)
    -> tensor<1x64x56x56xf32, {y_layout}> {{
  %c = te.compute @c [n: 1, o: 64, h: 56, w: 56] sum [i: 64, y: 3, x: 3] {{
    (%x[n, i, h + y - 1, w + x - 1] else 0.0) * %w[o, i, y, x]
  }} : tensor<1x64x56x56xf32, {y_layout}>
  te.return %c
}}
sched.schedule @conv {{
  split c.o, {width}
  split c.i, 16
  split c.w, {pixels}
  reorder c.o.o, c.n, c.h, c.w.o, c.i.o, c.y, c.x, c.i.i, c.w.i, c.o.i
  pack w, (d0, d1, d2, d3)
      -> (d0 floordiv {width}, d1 floordiv 16, d2, d3, d1 mod 16, d0 mod {width})
  parallel c.o.o
  partition c.w.o, [1, {last}]
  partition c.x.0, [1]
  partition c.x.2, [2]
{marks}
}}
"""


def matmul_text(target: Target) -> str:
    """Register tiles whose accumulators, one row of w and a broadcast of x fill the registers."""
    vectors, rows = {8: (3, 4), 16: (3, 8), 4: (3, 8)}[target.lanes]
    return _MATMUL.format(width=vectors * target.lanes, rows=rows)


def convolution_text(target: Target) -> str:
    """Tiles of output pixels by output channels; pixels divide the row of 56."""
    vectors, pixels = {8: (2, 4), 16: (2, 14), 4: (4, 4)}[target.lanes]
    width = vectors * target.lanes
    parts = ["0.0", "0.1", "1", "2.0", "2.1"]
    marks = [f"  unroll c.w.i.{part}" for part in parts]
    marks += [f"  vectorize c.o.i.{part}" for part in parts]
    return _CONVOLUTION.format(
        width=width,
        pixels=pixels,
        last=56 // pixels - 1,
        x_layout=_blocked(16),
        y_layout=_blocked(width),
        marks="\n".join(marks),
    )


def _blocked(block: int) -> str:
    """NCHW with blocks of channels innermost."""
    return f"layout (d0, d1, d2, d3) -> (d0, d1 floordiv {block}, d2, d3, d1 mod {block})"
