"""Random schedules on small kernels of every kind keep the meaning.

Each kernel is run as te by the reference, then as nests after a random schedule by the direct
interpreter below (point by point, with memory that knows which places have been written), by the
reference of the loop level, as tiles, and as machine code. A refused primitive leaves the kernel as
it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp, TensorType, f32, i8, i16, i32, i64
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.ir.affine import AffineMap

from nnc.compiler.native import NativeKernel
from nnc.core.dominance import undominated
from nnc.core.dtypes import numpy_dtype
from nnc.core.errors import PassError, ScheduleError
from nnc.core.irtypes import tensor_element, tensor_shape
from nnc.dialects import loop, te
from nnc.dialects.combiners import neutral_elements
from nnc.dialects.intrinsics import INTRINSICS, ui8
from nnc.dialects.te_build import KernelBuilder, Scalar, Tensor
from nnc.dialects.te_build.functions import maximum, unary, where
from nnc.lowering.te_to_loop.kernel import KernelConverter
from nnc.passes.loop.form_tiles import form_tiles
from nnc.reference.body import Scope, affine, difference, run_body
from nnc.reference.loop import run_loop_kernel
from nnc.reference.scalar import NAMED_COMBINERS, attribute_value, dense_value
from nnc.reference.te import run_kernel_with_errors
from nnc.schedules.primitives.lookup import buffer_name
from nnc.schedules.primitives.space import reads_in
from nnc.schedules.primitives.table import PRIMITIVES
from nnc.schedules.replay import Schedule

Array = np.ndarray[Any, Any]


class Memory:
    """A buffer and which of its places have been written."""

    def __init__(self, type_: loop.BufferType, content: Array | None = None):
        shape = type_.extents
        self.data = np.zeros(shape, numpy_dtype(type_.element_type))
        self.written = np.zeros(shape, bool)
        if content is not None:
            self.data[...] = content
            self.written[...] = True

    def read(self, place: tuple[int, ...], fill: Attribute | None) -> Any:
        inside = all(0 <= i < n for i, n in zip(place, self.data.shape, strict=True))
        if not inside:
            assert fill is not None, f"read at {place} of {self.data.shape}"
            return attribute_value(fill)
        assert self.written[place], f"read at {place} before it was written"
        return self.data[place]

    def write(self, place: tuple[int, ...], value: Any) -> None:
        assert all(0 <= i < n for i, n in zip(place, self.data.shape, strict=True)), place
        self.data[place] = value
        self.written[place] = True


class Nests:
    """Runs a loop.kernel in nest form, one point after the other."""

    def __init__(self, kernel: loop.KernelOp):
        self.kernel = kernel
        self.memory: dict[SSAValue, Memory] = {}
        self.ivs: dict[SSAValue, int] = {}
        self.updates: dict[str, int] = {}

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        args = self.kernel.body.block.args
        for position, argument in enumerate(args):
            content = inputs[position] if position < len(inputs) else None
            self.memory[argument] = Memory(loop.buffer_type(argument), content)
        self._block(self.kernel.body.block)
        outputs = [self.memory[argument] for argument in args[len(inputs) :]]
        assert all(memory.written.all() for memory in outputs), "an output has holes"
        return [memory.data for memory in outputs]

    def _block(self, block: Block) -> None:
        for op in block.ops:
            if isinstance(op, loop.AllocOp):
                self.memory[op.res] = Memory(loop.buffer_type(op.res))
            elif isinstance(op, loop.ForOp):
                low = max(op.lower.data.eval([self.ivs[a] for a in op.lower_args], []))
                high = min(op.upper.data.eval([self.ivs[a] for a in op.upper_args], []))
                for value in range(low, high):
                    self.ivs[op.variable] = value
                    self._block(op.body.block)
            elif not isinstance(op, loop.PrefetchOp):
                assert isinstance(op, loop.StmtOp), op.name
                self._stmt(op)

    def _stmt(self, stmt: loop.StmtOp) -> None:
        ivs = [self.ivs[iv] for iv in stmt.ivs]
        point = stmt.bind.data.eval(ivs, [])
        if not all(0 <= at < axis.size for at, axis in zip(point, stmt.axes, strict=True)):
            return
        values = self._evaluate(stmt, point, ivs)
        places = [map_.data.eval(point, ivs) for map_ in stmt.out_maps]
        memories = [self.memory[out] for out in stmt.outs]
        if stmt.is_reduction:
            first = all(
                at == 0 for at, axis in zip(point, stmt.axes, strict=True) if axis.is_reduce
            )
            if first:
                types = [loop.buffer_type(out).element_type for out in stmt.outs]
                before = [attribute_value(a) for a in neutral_elements(stmt, types)]
            else:
                before = [m.read(p, None) for m, p in zip(memories, places, strict=True)]
            values = self._combine(stmt, before, values)
        for memory, place, value in zip(memories, places, values, strict=True):
            memory.write(place, value)
        name = stmt.sym_name.data
        self.updates[name] = self.updates.get(name, 0) + 1

    def _combine(self, stmt: loop.StmtOp, before: list[Any], values: list[Any]) -> list[Any]:
        if stmt.combine is None:
            assert stmt.combiner is not None
            with np.errstate(all="ignore"):
                return [
                    NAMED_COMBINERS[name.data](old, new)
                    for name, old, new in zip(stmt.combiner, before, values, strict=True)
                ]
        scope = Scope()
        block = stmt.combine.block
        for argument, value in zip(block.args, [*before, *values], strict=True):
            scope.values[argument] = np.asarray(value)
        return [scope.values[value] for value in run_body(block, scope, {})]

    def _evaluate(self, stmt: loop.StmtOp, point: Sequence[int], ivs: Sequence[int]) -> list[Any]:
        scope = Scope()
        dims = [np.asarray(at) for at in point]
        outer = [np.asarray(iv) for iv in ivs]

        def read(op: Operation, scope: Scope) -> None:
            assert isinstance(op, loop.ReadOp)
            symbols = [*(scope.values[s] for s in op.symbols), *outer]
            place = tuple(int(affine(e, dims, symbols)) for e in op.map.data.results)
            scope.values[op.res] = np.asarray(self.memory[op.source].read(place, op.fill))

        def index(op: Operation, scope: Scope) -> None:
            assert isinstance(op, loop.IndexOp)
            labels = [axis.label for axis in stmt.axes]
            scope.values[op.res] = dims[labels.index(op.axis.data)]

        def coeff(op: Operation, scope: Scope) -> None:
            assert isinstance(op, loop.CoeffOp)
            place = tuple(int(affine(e, dims, outer)) for e in op.map.data.results)
            value = np.asarray(dense_value(op.values)[place])
            scope.values[op.res] = value
            scope.absent[op.res] = value == 0

        handlers = {"loop.read": read, "loop.index": index, "loop.coeff": coeff}
        return [scope.values[v] for v in run_body(stmt.body.block, scope, handlers)]


def tensor(*shape: int, element: Attribute = f32) -> TensorType[Any]:
    return TensorType(element, shape)


Made = tuple[te.KernelOp, list[TensorType[Any]]]


def build(
    name: str,
    args: dict[str, TensorType[Any]],
    function: Callable[..., Sequence[Tensor]],
    const: Sequence[str] = (),
) -> te.KernelOp:
    builder = KernelBuilder(name, args, const=const)
    return builder.finish(*function(builder, *builder.args))


def matmul_add_relu(m: int, n: int, k: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor, w: Tensor, bias: Tensor) -> list[Tensor]:
        c = b.compute(
            "c",
            {"i": m, "j": n},
            lambda i, j: b.sum({"k": k}, lambda r: x[i, r] * w[r, j]),
        )
        y = b.compute("y", {"i": m, "j": n}, lambda i, j: maximum(c[i, j] + bias[j], 0.0))
        return [y]

    args = {"x": tensor(m, k), "w": tensor(k, n), "b": tensor(n)}
    return build("mm", args, body, ["w", "b"])


def convolution(size: int, channels: int, taps: int, stride: int) -> te.KernelOp:
    pad = taps // 2
    out = max(0, (size + 2 * pad - taps) // stride + 1) if size else 0

    def body(b: KernelBuilder, x: Tensor, w: Tensor) -> list[Tensor]:
        s = b.compute("s", {"c": channels, "w": size}, lambda c, i: x[c, i] * 2.0)
        c = b.compute(
            "c",
            {"o": channels, "w": out},
            lambda o, i: b.sum(
                {"c": channels, "kw": taps},
                lambda ci, kw: s.read((ci, i * stride + kw - pad), 0.0) * w[o, ci, kw],
            ),
        )
        y = b.compute("y", {"o": channels, "w": out}, lambda o, i: maximum(c[o, i], 0.0))
        return [y]

    args = {"x": tensor(channels, size), "w": tensor(channels, channels, taps)}
    return build("conv", args, body, ["w"])


def max_pool(size: int, taps: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        s = b.compute("s", {"w": size}, lambda i: x[i] + 1.0)
        y = b.compute(
            "y",
            {"w": size},
            lambda i: b.reduce("max", {"k": taps}, lambda k: s.read((i + k - 1,), -1e30)),
        )
        return [y]

    return build("pool", {"x": tensor(size)}, body)


def chain(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        s = b.compute("s", {"i": m, "j": n}, lambda i, j: x[i, j] * 3.0)
        t = b.compute("t", {"j": n, "i": m}, lambda j, i: s.read((i - 1, j), 5.0) + 1.0)
        copied = b.compute("u", {"i": m, "j": n}, lambda i, j: t[j, i])
        y = b.compute(
            "y", {"i": m, "j": n}, lambda i, j: copied.read((i, j + 1), 2.0) - s[i, j] * i.cast(f32)
        )
        return [y]

    return build("chain", {"x": tensor(m, n)}, body)


def softmax(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        top = b.compute("m", {"i": m}, lambda i: b.reduce("max", {"j": n}, lambda j: x[i, j]))
        exp = unary("exp")
        e = b.compute("e", {"i": m, "j": n}, lambda i, j: exp(x[i, j] - top[i]))
        total = b.compute("s", {"i": m}, lambda i: b.sum({"j": n}, lambda j: e[i, j]))
        return [b.compute("y", {"i": m, "j": n}, lambda i, j: e[i, j] / total[i])]

    return build("softmax", {"x": tensor(m, n)}, body)


def argmax(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        def better(old: Any, new: Any) -> list[Any]:
            take = new[0] > old[0]
            return [where(take, new[0], old[0]), where(take, new[1], old[1])]

        def row(i: Any) -> Any:
            return b.reduce_with(better, [-1e30, 0], {"j": n}, lambda j: (x[i, j], j.cast(i64)))

        value, place = b.computes("a", {"i": m}, row)
        y = b.compute("y", {"i": m}, lambda i: value[i] * 2.0)
        z = b.compute("z", {"i": m}, lambda i: place[i])
        return [y, z]

    return build("argmax", {"x": tensor(m, n)}, body)


def reshape(m: int, n: int) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        s = b.compute("s", {"i": m, "j": n}, lambda i, j: x[i, j] + 1.0)
        divisor = max(1, n)
        y = b.compute("y", {"f": m * n}, lambda f: s[f // divisor, f % divisor] * 2.0)
        return [y, s]

    return build("reshape", {"x": tensor(m, n)}, body)


def gather(rows: int, width: int, count: int) -> te.KernelOp:
    def body(b: KernelBuilder, table: Tensor, ids: Tensor) -> list[Tensor]:
        s = b.compute("s", {"r": rows, "j": width}, lambda r, j: table[r, j] * 0.5)
        y = b.compute("y", {"n": count, "j": width}, lambda n, j: s[ids[n], j] + 1.0)
        return [y]

    args = {"table": tensor(rows, width), "ids": tensor(count, element=i32)}
    return build("gather", args, body)


def dot(m: int, n: int, k: int, terms: int) -> te.KernelOp:
    """Bytes or shorts: the shape of an intrinsic, and of what it could be taken for."""

    def body(b: KernelBuilder, x: Tensor, w: Tensor) -> list[Tensor]:
        def row(i: Any, j: Any) -> Any:
            return b.sum({"k": k}, lambda r: x[i, r].cast(i32) * w[r, j].cast(i32))

        c = b.compute("c", {"i": m, "j": n}, row)
        return [b.compute("y", {"i": m, "j": n}, lambda i, j: c[i, j] + 1)]

    x, w = (ui8, i8) if terms == 4 else (i16, i16)
    return build("dot", {"x": tensor(m, k, element=x), "w": tensor(k, n, element=w)}, body, ["w"])


def recurrence(steps: int, width: int, reverse: bool) -> te.KernelOp:
    def body(b: KernelBuilder, x: Tensor, w: Tensor, h0: Tensor) -> list[Tensor]:
        def step(t: Callable[[], Scalar], states: Sequence[Tensor]) -> list[Tensor]:
            h = states[0]
            c = b.compute(
                "c",
                {"i": width},
                lambda i: b.sum({"k": width}, lambda k: w[i, k] * h[k]),
            )
            return [b.compute("n", {"i": width}, lambda i: c[i] * t().cast(f32) + x[t(), i])]

        (h,) = b.scan("h", ("t", steps), [h0], step, reverse=reverse)
        return [b.compute("y", {"t": steps, "i": width}, lambda t, i: h[t, i] + 1.0)]

    args = {"x": tensor(steps, width), "w": tensor(width, width), "h0": tensor(width)}
    return build("recurrence", args, body, ["w"])


EXTENTS = st.sampled_from([0, 1, 2, 3, 5, 6, 7])
SOME = st.integers(1, 6)
KERNELS: dict[str, st.SearchStrategy[te.KernelOp]] = {
    "matmul": st.builds(matmul_add_relu, EXTENTS, EXTENTS, EXTENTS),
    "convolution": st.builds(
        convolution, st.sampled_from([1, 4, 7]), st.integers(1, 2), st.integers(1, 3), SOME
    ),
    "pool": st.builds(max_pool, st.integers(1, 9), st.just(3)),
    "chain": st.builds(chain, SOME, SOME),
    "softmax": st.builds(softmax, EXTENTS, SOME),
    "argmax": st.builds(argmax, SOME, EXTENTS),
    "reshape": st.builds(reshape, SOME, SOME),
    "gather": st.builds(gather, SOME, SOME, EXTENTS),
    "dot": st.builds(dot, SOME, EXTENTS, st.sampled_from([2, 4, 5]), st.sampled_from([2, 4])),
    "recurrence": st.builds(recurrence, st.integers(0, 4), st.integers(1, 4), st.booleans()),
}


def random_inputs(kernel: te.KernelOp) -> list[Array]:
    generator = np.random.default_rng(7)
    arrays: list[Array] = []
    for type_ in kernel.function_type.inputs:
        shape = tensor_shape(type_)
        element = tensor_element(type_)
        if element in (i8, i16):
            dtype = numpy_dtype(element)
            info = np.iinfo(dtype)
            arrays.append(generator.integers(info.min, info.max, shape, dtype, endpoint=True))
        elif element == i32:
            rows = tensor_shape(kernel.function_type.inputs.data[0])[0]
            arrays.append(generator.integers(0, rows, shape).astype(np.int32))
        else:
            arrays.append(generator.standard_normal(shape).astype(np.float32))
    return arrays


class Steps:
    """Draws a primitive and arguments for it that have a fair chance."""

    def __init__(self, data: st.DataObject, s: Schedule):
        self.data = data
        self.s = s

    def pick(self, options: Sequence[Any]) -> Any:
        if not options:
            raise ScheduleError("nothing to choose from")
        return self.data.draw(st.sampled_from(list(options)))

    def compute(self) -> str:
        return self.pick(self.s.computes())

    def space(self) -> str:
        return self.pick(["global", "scratch", "register"])

    def neighbours(self, compute: str, *, readers: bool) -> list[str]:
        """The loops around the computes that read `compute`, or that it reads."""
        own = {out for stmt in self.s.statements(compute) for out in stmt.outs}
        own_reads = {r.source for stmt in self.s.statements(compute) for r in reads_in(stmt)}
        found: list[str] = []
        for other in self.s.computes():
            stmt = self.s.statements(other)[0]
            reads = {read.source for read in reads_in(stmt)}
            if (own & reads) if readers else (own_reads & set(stmt.outs)):
                found += self.s.loops(other)
        return found

    def split(self) -> None:
        tail = self.pick([None, "mask", "peel", "shift", "pad", "balanced"])
        holes = [f"${label}" for label in self.s.answers]
        self.s.split(self.pick(self.s.loops()), self.pick([1, 2, 3, 4, *holes]), tail)

    def fuse(self) -> None:
        around = self.s.loops(self.compute())
        at: int = self.pick(range(len(around) - 1))
        self.s.fuse(around[at], around[at + 1])

    def reorder(self) -> None:
        around = self.s.loops(self.compute())
        chosen = self.data.draw(st.permutations(around))
        self.s.reorder(*chosen[: self.pick(range(len(chosen) + 1))])

    def tile(self) -> None:
        around = self.s.loops(self.compute())
        at: int = self.pick(range(len(around) - 1))
        self.s.tile(around[at], around[at + 1], self.pick([1, 2, 3]), self.pick([1, 2, 3]))

    def partition(self) -> None:
        loop = self.pick(self.s.loops())
        self.s.partition(loop, [self.pick(range(self.s.extent(loop) or 1))])

    def compute_at(self) -> None:
        compute = self.compute()
        self.s.compute_at(compute, self.pick(self.neighbours(compute, readers=True)))

    def reverse_compute_at(self) -> None:
        compute = self.compute()
        self.s.reverse_compute_at(compute, self.pick(self.neighbours(compute, readers=False)))

    def compute_inline(self) -> None:
        self.s.compute_inline(self.compute())

    def compute_root(self) -> None:
        self.s.compute_root(self.compute())

    def rfactor(self) -> None:
        compute = self.compute()
        self.s.rfactor(compute, self.pick(self.s.loops(compute)))

    def decompose_reduction(self) -> None:
        compute = self.compute()
        self.s.decompose_reduction(compute, self.pick(self.s.loops(compute)))

    def tensorize(self) -> None:
        self.s.tensorize(self.pick(self.s.loops()), self.pick(list(INTRINSICS)))

    def prefetch(self) -> None:
        names = [name.data for name in self.s.kernel.arg_names]
        self.s.prefetch(self.pick(names), self.pick(self.s.loops()), self.pick([1, 2, 5]))

    def choose(self) -> None:
        self.s.choose(f"t{len(self.s.answers)}", [1, 2, 3], self.pick([1, 2, 3]))

    def cache_read(self) -> None:
        reader = self.compute()
        sources = [r.source for stmt in self.s.statements(reader) for r in reads_in(stmt)]
        # names, not values: what is drawn is shown, and a value shows all that it comes from
        names = [buffer_name(self.s.kernel, source) for source in sources]
        self.s.cache_read(self.pick(names), reader, self.space())

    def cache_write(self) -> None:
        self.s.cache_write(self.compute(), self.space())

    def set_scope(self) -> None:
        self.s.set_scope(self.compute(), self.space())

    def pack(self) -> None:
        names = [self.s.kernel.arg_names.data[i].data for i in self.s.kernel.const_positions]
        layouts = [
            AffineMap.from_callable(lambda i, j: (j // 3, i, j % 3)),
            AffineMap.from_callable(lambda i, j: (i // 2, j)),
        ]
        self.s.pack(self.pick(names), self.pick(layouts))

    def parallel(self) -> None:
        self.s.parallel(self.pick(self.s.loops()))

    def vectorize(self) -> None:
        self.s.vectorize(self.pick(self.s.loops()))

    def unroll(self) -> None:
        self.s.unroll(self.pick(self.s.loops()))


MARKS = ("parallel", "vectorize", "unroll")
MOVES = tuple(op.name.split(".")[1] for op in PRIMITIVES if op.name.split(".")[1] not in MARKS)


def random_step(data: st.DataObject, s: Schedule, names: Sequence[str]) -> None:
    getattr(Steps(data, s), data.draw(st.sampled_from(names)))()


def check(
    made: te.KernelOp, schedule: Callable[[Schedule], None], *, tiles: bool = True
) -> Schedule:
    """Run a kernel before and after a schedule and compare; also as tiles and machine code."""
    made.verify()
    inputs = random_inputs(made)
    expected, errors = run_kernel_with_errors(made, inputs)
    kernel = KernelConverter(made).convert()
    ModuleOp([kernel]).verify()
    s = Schedule(kernel)
    schedule(s)
    _compare(Nests(kernel).run(inputs), expected, errors, s)
    _compare(run_loop_kernel(kernel, inputs), expected, errors, s)
    if tiles and _is_complete(s):
        _check_tiles(kernel, inputs, expected, errors, s)
    return s


def _is_complete(s: Schedule) -> bool:
    """Whether this may be the end of a schedule: a thread's own buffers are used by one phase."""
    try:
        s.check()
    except ScheduleError:
        return False
    return True


def _check_tiles(
    kernel: loop.KernelOp,
    inputs: list[Array],
    expected: list[Array],
    errors: list[Array],
    s: Schedule,
) -> None:
    """The same kernel as tiles, and as machine code."""
    tiles = kernel.clone()
    module = ModuleOp([tiles])
    try:
        form_tiles(tiles)
    except PassError as error:
        # a register buffer has constant indices; a buffer of one iteration cannot be widened
        if not re.search("register buffer|not an axis of what is written", error.message):
            raise
        return
    module.verify()
    assert not list(undominated(module)), "a value is used before it is there"
    # exp and tanh are polynomials of our own, an ulp or two off NumPy's
    slack = [4 * np.spacing(np.abs(want).max(initial=1)) for want in expected]
    near = [error + gap for error, gap in zip(errors, slack, strict=True)]
    _compare(run_loop_kernel(tiles, inputs), expected, near, s)
    _compare(NativeKernel(tiles)(*inputs), expected, near, s)


def _compare(
    got: Sequence[Array], expected: Sequence[Array], errors: Sequence[Array], s: Schedule
) -> None:
    for have, want, error in zip(got, expected, errors, strict=True):
        gap = difference(have, want)
        assert (gap <= error).all(), f"off by {gap.max()}:\n{s.to_ir()}\n{s.kernel}"


@pytest.mark.parametrize("kind", KERNELS)
@seed(20260801)
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_random_schedules_keep_the_meaning(kind: str, data: st.DataObject) -> None:
    def schedule(s: Schedule) -> None:
        moves, marks = data.draw(st.integers(0, 7)), data.draw(st.integers(0, 3))
        for step in range(moves + marks):
            before = str(s.kernel)
            try:
                random_step(data, s, MOVES if step < moves else MARKS)
            except ScheduleError:
                assert str(s.kernel) == before, "a refused primitive has edited the kernel"
            parent = s.kernel.parent_op()
            assert parent is not None
            parent.verify()
            assert not list(undominated(parent)), "a value is used before it is there"

    check(data.draw(KERNELS[kind]), schedule)


ONE_OF_EACH: dict[str, te.KernelOp] = {
    "matmul": matmul_add_relu(5, 4, 3),
    "convolution": convolution(7, 2, 3, 2),
    "pool": max_pool(6, 3),
    "chain": chain(4, 3),
    "softmax": softmax(3, 5),
    "argmax": argmax(3, 4),
    "reshape": reshape(3, 4),
    "gather": gather(4, 3, 5),
    "recurrence": recurrence(3, 4, False),
}


@pytest.mark.parametrize("around", ["as it is", "split", "split, and back"])
@pytest.mark.parametrize("move", ["compute_at", "reverse_compute_at"])
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_every_attachment_keeps_the_meaning_or_is_refused(
    kind: str, move: str, around: str
) -> None:
    """Each compute to each loop, its own ones and those before its producers included."""
    made = ONE_OF_EACH[kind]
    start = Schedule(KernelConverter(made).convert())
    for compute in start.computes():
        for loop_name in start.loops():

            def schedule(s: Schedule, compute: str = compute, loop_name: str = loop_name) -> None:
                target = loop_name if around == "as it is" else s.split(loop_name, 2)[0]
                before = str(s.kernel)
                try:
                    getattr(s, move)(compute, target)
                    before = str(s.kernel)
                    if around == "split, and back":
                        s.compute_root(compute)
                except ScheduleError:
                    assert str(s.kernel) == before, "a refused primitive has edited the kernel"

            check(made, schedule, tiles=False)


@pytest.mark.parametrize("move", ["compute_at", "reverse_compute_at"])
def test_a_compute_does_not_move_into_its_own_nest(move: str) -> None:
    s = Schedule(KernelConverter(matmul_add_relu(5, 4, 3)).convert())
    for compute in ("c", "y"):
        for loop_name in s.loops(compute):
            with pytest.raises(ScheduleError):
                getattr(s, move)(compute, loop_name)


def test_a_consumer_waits_for_all_of_its_producers() -> None:
    """y reads s too, which is computed after the nest that y would follow."""

    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        c = b.compute("c", {"i": 8}, lambda i: x[i] * 2.0)
        s = b.compute("s", {"i": 8}, lambda i: x[i] + 1.0)
        return [b.compute("y", {"i": 8}, lambda i: c[i] * s[i])]

    made = build("two", {"x": tensor(8)}, body)
    s = Schedule(KernelConverter(made).convert())
    with pytest.raises(ScheduleError, match="@y reads @s too, which is not ready"):
        s.reverse_compute_at("y", "c.i")

    def in_order(s: Schedule) -> None:
        s.split("s.i", 3)
        s.reverse_compute_at("y", "s.i.o")

    check(made, in_order)


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_placing_and_compute_root_gives_the_first_nests_again(kind: str) -> None:
    """Where compute_at is allowed, compute_root undoes it, to the letter but for reads' guards."""
    made = ONE_OF_EACH[kind]
    first = Schedule(KernelConverter(made).convert())
    for compute in first.computes():
        for loop_name in first.loops():
            kernel = KernelConverter(made).convert()
            ModuleOp([kernel])
            s = Schedule(kernel)
            before = sorted(str(kernel).splitlines())
            try:
                s.compute_at(compute, loop_name)
            except ScheduleError:
                continue
            assert sorted(str(kernel).splitlines()) != before
            if kind == "recurrence":  # inside a scan it reads what the step before has written
                with pytest.raises(ScheduleError, match=r"depends on|too"):
                    s.compute_root(compute)
                continue
            s.compute_root(compute)
            lines = sorted(re.sub(r"%\w+", "%", line) for line in str(kernel).splitlines())
            assert lines == sorted(re.sub(r"%\w+", "%", line) for line in before)


@pytest.mark.parametrize("space", ["scratch", "register"])
def test_places_outside_a_domain_keep_the_value_of_the_guard(space: str) -> None:
    """The nest of the guard's value stands first; the producer's tile leaves its places alone."""

    def schedule(s: Schedule) -> None:
        s.split("y.w", 2)
        s.compute_at("s", "y.w.o")
        s.set_scope("s", space)
        for loop_name in ("s.fill.d0", "s.w", "y.w.i"):
            s.vectorize(loop_name)
        s.unroll("y.k")

    check(max_pool(5, 3), schedule)
