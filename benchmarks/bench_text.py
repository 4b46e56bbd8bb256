"""How fast texts are read and written: `python benchmarks/bench_text.py [megabytes]`.

CPU time of one thread, best of three, garbage collector off while parsing (as `parse` does it).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import process_time

from nnc.textir import parse, print_module

OPS_GENERIC = (
    '  %{0} = "arith.constant"() <{{value = {0} : i32}}> : () -> i32\n'
    '  %{1} = "arith.addi"(%{0}, %a) <{{overflowFlags = #arith.overflow<none>}}> : '
    "(i32, i32) -> i32\n"
    '  %{2} = "test.op"(%{1}, %a) {{tag = "n{0}", k = [1, 2]}} : (i32, i32) -> '
    "tensor<4x{3}xf32>\n"
)
OPS_PRETTY = (
    "  %{0} = graph.relu(%x) : tensor<1x64x{3}x56xf32>\n"
    "  %{1} = graph.add(%{0}, %x) : tensor<1x64x{3}x56xf32>\n"
    "  %{2} = graph.conv(%{1}, %w) {{strides = [{3}, 1], pads = [1, 1, 1, 1]}} : "
    "tensor<1x64x{3}x56xf32>\n"
)


def repeated(ops: str, size: int) -> str:
    """About `size` bytes of ops, numbered."""
    lines: list[str] = []
    total = number = 0
    while total < size:
        lines.append(ops.format(number, number + 1, number + 2, 1 + number % 50))
        total += len(lines[-1])
        number += 3
    return "".join(lines)


def generic_text(size: int) -> str:
    """A function of generic ops."""
    head = '"func.func"() <{sym_name = "main", function_type = (i32) -> ()}> ({\n^bb0(%a: i32):\n'
    return f'{head}{repeated(OPS_GENERIC, size)}  "func.return"() : () -> ()\n}}) : () -> ()\n'


def pretty_text(size: int) -> str:
    """A function of ops in the uniform form."""
    head = "func.func @main(%x: tensor<1x64x56x56xf32>, %w: tensor<64x64x3x3xf32>) {\n"
    return f"{head}{repeated(OPS_PRETTY, size)}  func.return\n}}\n"


def best(work: Callable[[], object]) -> float:
    """Seconds of CPU time, best of three."""
    times: list[float] = []
    for _ in range(3):
        start = process_time()
        work()
        times.append(process_time() - start)
    return min(times)


def report(name: str, text: str) -> None:
    """Time parsing and printing of one text."""
    module = parse(text)
    ops = sum(1 for _ in module.walk())
    seconds = best(lambda: parse(text))
    print(
        f"parse {name:8} {len(text) / 1e6:5.2f} MB {ops:7} ops {seconds:6.2f} s "
        f"{len(text) / seconds / 1e3:7.0f} KB/s {ops / seconds:8.0f} ops/s"
    )
    for generic in (True, False):
        seconds = best(lambda generic=generic: print_module(module, generic=generic))
        form = "generic" if generic else "pretty"
        print(f"print {form:8} {seconds:6.2f} s {ops / seconds:8.0f} ops/s")


def main() -> None:
    """Both forms."""
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 1_000_000
    report("generic", generic_text(size))
    report("pretty", pretty_text(size))


if __name__ == "__main__":
    main()
