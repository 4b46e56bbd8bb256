"""loop: kernels, loops, statements, memory accesses to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    AffineSetAttr,
    ArrayAttr,
    DenseArrayBase,
    IndexType,
    IntegerAttr,
    StringAttr,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import AffineConstraintExpr, AffineExpr, AffineMap

from ...dialects.loop import TileType
from ..attribute_text import symbol_text
from ..expressions import Space
from ..index_text import map_is_stable, order_of_use, set_text, text_of
from ..literals import number_text
from ..printer import FORMS, Task, TextPrinter, may_omit_label
from .print_core import binds, entry_block, extra
from .print_te import (
    AXIS,
    RESERVED,
    argument,
    axes_of,
    axes_text,
    body,
    combine,
    has_bodies,
    name_list,
    position_set,
    reduction_text,
)

_SEGMENTS = "operandSegmentSizes"


def segments(op: Operation, count: int) -> list[int] | None:
    """The sizes of the operand groups, if they add up."""
    value = op.properties.get(_SEGMENTS)
    if not isinstance(value, DenseArrayBase):
        return None
    dense = cast("DenseArrayBase[Any]", value)
    sizes = [int(size) for size in dense.iter_values()]
    if dense.elt_type != i32 or len(sizes) != count or sum(sizes) != len(op.operands):
        return None
    return sizes


def _kernel(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    block, name = entry_block(op), op.properties.get("sym_name")
    outputs = op.properties.get("num_outputs")
    names = name_list(op.properties.get("arg_names"))
    const = position_set(op.properties.get("const_args"))
    more = extra(p, op, ("sym_name", "arg_names", "num_outputs", "const_args"))
    if block is None or more is None or names is None or const is None:
        return None
    if not isinstance(name, StringAttr) or not isinstance(outputs, IntegerAttr):
        return None
    count = cast("IntegerAttr[Any]", outputs)
    if count.type != i64 or not 0 <= count.value.data <= len(names):
        return None
    if len(names) != len(block.args) or any(at not in range(len(names)) for at in const):
        return None
    return _kernel_text(p, op, names, const, len(names) - count.value.data, more, indent)


def _kernel_text(
    p: TextPrinter,
    op: Operation,
    names: Sequence[str],
    const: set[int],
    first_output: int,
    more: str,
    indent: str,
) -> Task:
    mark = p.names.enter()
    arguments = [
        argument(p, value, name, const=at in const, out=at >= first_output)
        for at, (value, name) in enumerate(zip(op.regions[0].block.args, names, strict=True))
    ]
    symbol = symbol_text(cast("StringAttr", op.properties["sym_name"]).data)
    p.write(f"loop.kernel {symbol}({', '.join(arguments)}){more} ")
    yield p.open_region(op.regions[0], indent, label=False)
    p.names.leave(mark)


# --- expressions over loop variables


def is_clear(p: TextPrinter, exprs: Sequence[AffineExpr], ivs: Sequence[SSAValue]) -> bool:
    """Whether the text names all loop variables (the first dimensions), and they are in order."""
    dims, _ = order_of_use(exprs)
    return set(range(len(ivs))) <= set(dims) and p.names.are_ordered(ivs)


def _are_indices(values: Sequence[SSAValue]) -> bool:
    return all(isinstance(value.type, IndexType) for value in values) and (
        len({id(value) for value in values}) == len(values)
    )


def _bound(
    p: TextPrinter, map_: Attribute | None, args: Sequence[SSAValue], word: str
) -> str | None:
    if not isinstance(map_, AffineMapAttr):
        return None
    names = [p.names.of(value) for value in args]
    inner: AffineMap = map_.data
    if (
        inner.num_symbols
        or inner.num_dims != len(args)
        or not map_is_stable(inner)
        or not is_clear(p, inner.results, args)
        or not _are_indices(args)
        or not inner.results
    ):
        return f"{p.attributes.of(map_)}({', '.join(names)})"
    texts = [text_of(result, names, ()) for result in inner.results]
    return texts[0] if len(texts) == 1 else f"{word}({', '.join(texts)})"


def _for(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    block, kind, name = entry_block(op), op.properties.get("kind"), op.properties.get("loop_name")
    sizes = segments(op, 3)
    more = extra(p, op, ("loop_name", "kind", "lower", "upper", _SEGMENTS), "")
    if block is None or more is None or sizes is None or not isinstance(kind, StringAttr):
        return None
    if not isinstance(name, StringAttr) or AXIS.fullmatch(kind.data) is None:
        return None
    values = list(op.operands)
    inits = values[sizes[0] + sizes[1] :]
    types = [init.type for init in inits]
    if list(block.arg_types) != [IndexType(), *types] or list(op.result_types) != types:
        return None
    lower = _bound(p, op.properties.get("lower"), values[: sizes[0]], "max")
    upper = _bound(p, op.properties.get("upper"), values[sizes[0] : sizes[0] + sizes[1]], "min")
    if lower is None or upper is None or "name" in op.attributes or more:
        return None
    word = "" if kind.data == "serial" else f" {kind.data}"
    return _for_text(p, op, name.data, f"{lower} to {upper}{word}", inits, indent)


def _for_text(
    p: TextPrinter, op: Operation, name: str, bounds: str, inits: Sequence[SSAValue], indent: str
) -> Task:
    block = op.regions[0].block
    variable = p.names.prefer(block.args[0], name)
    carried = f" carry ({binds(p, block.args[1:], inits)})" if inits else ""
    clause = "" if variable == f"%{name}" else f" {{name = {p.attributes.of(StringAttr(name))}}}"
    p.write(f"loop.for {variable} = {bounds}{carried}{clause} ")
    yield p.open_region(op.regions[0], indent, label=False)


def _over(p: TextPrinter, ivs: Sequence[SSAValue], clear: bool) -> str | None:
    """` over (%i, %j)` where the text does not name the loop variables in their order."""
    if not _are_indices(ivs):
        return None
    return "" if clear else f" over ({', '.join(p.names.of(value) for value in ivs)})"


def _stmt(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    axes, name = axes_of(op), op.properties.get("sym_name")
    sizes = segments(op, 2)
    omit = ("sym_name", "axes", "combiner", "init", "bind", "out_maps", _SEGMENTS)
    more = extra(p, op, omit)
    if axes is None or more is None or sizes is None or not has_bodies(op):
        return None
    reduction = reduction_text(op, axes)
    if reduction is None or not isinstance(name, StringAttr):
        return None
    labels = tuple(axis.label for axis in axes)
    ivs, outs = list(op.operands)[: sizes[0]], list(op.operands)[sizes[0] :]
    target = _targets(p, op, labels, ivs, outs)
    if target is None:
        return None
    parallel = axes_text([axis for axis in axes if not axis.is_reduce])
    head = f"loop.stmt {symbol_text(name.data)} {parallel}{reduction} = {target}{more} "
    yields = tuple(getattr(out.type, "element_type", None) for out in outs)
    return _stmt_text(p, op, head, Space("loop", labels, tuple(ivs), cast("Any", yields)), indent)


def _targets(
    p: TextPrinter,
    op: Operation,
    labels: Sequence[str],
    ivs: Sequence[SSAValue],
    outs: Sequence[SSAValue],
) -> str | None:
    """`[8 * %io + %ii] -> %c[i, j]`."""
    bind, maps = op.properties.get("bind"), op.properties.get("out_maps")
    if not isinstance(bind, AffineMapAttr) or not isinstance(maps, ArrayAttr) or not outs:
        return None
    out_maps = [item for item in cast("ArrayAttr[Any]", maps) if isinstance(item, AffineMapAttr)]
    if len(out_maps) != len(outs) or len(out_maps) != len(cast("ArrayAttr[Any]", maps)):
        return None
    all_maps = [bind.data, *(map_.data for map_ in out_maps)]
    if not all(map_is_stable(map_) for map_ in all_maps) or bind.data.num_symbols:
        return None
    arity = {(map_.num_dims, map_.num_symbols) for map_ in all_maps[1:]}
    if bind.data.num_dims != len(ivs) or arity != {(len(labels), len(ivs))}:
        return None
    order, _ = order_of_use(bind.data.results)
    for map_ in all_maps[1:]:
        order += [at for at in order_of_use(map_.results)[1] if at not in order]
    over = _over(p, ivs, order == list(range(len(ivs))))
    if over is None:
        return None
    names = [p.names.of(value) for value in ivs]
    bound = ", ".join(text_of(expr, names, ()) for expr in bind.data.results)
    refs = [
        f"{p.names.of(out)}[{', '.join(text_of(e, labels, names) for e in map_.results)}]"
        for out, map_ in zip(outs, all_maps[1:], strict=True)
    ]
    return f"[{bound}]{over} -> {', '.join(refs)}"


def _stmt_text(p: TextPrinter, op: Operation, head: str, space: Space, indent: str) -> Task:
    yield body(p, op.regions[0], space, indent, "loop.yield", head)
    yield combine(p, op, space, indent, "loop.yield")


def _if(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    condition, ivs = op.properties.get("condition"), list(op.operands)
    more = extra(p, op, ("condition",), "")
    if more is None or not isinstance(condition, AffineSetAttr) or not 1 <= len(op.regions) <= 2:
        return None
    for region in op.regions:
        if len(region.blocks) != 1 or region.block.args or not may_omit_label(region.block):
            return None
    text = _condition(p, condition, ivs, ())
    return None if text is None else _if_text(p, op, f"loop.if {text}{more} ", indent)


def _if_text(p: TextPrinter, op: Operation, head: str, indent: str) -> Task:
    p.write(head)
    yield p.open_region(op.regions[0], indent, label=False)
    if len(op.regions) == 2:
        p.write(" else ")
        yield p.open_region(op.regions[1], indent, label=False)
    if op.results:
        p.write(f" : {p.attributes.many(op.result_types)}")


def _condition(
    p: TextPrinter, condition: AffineSetAttr, ivs: Sequence[SSAValue], labels: Sequence[str]
) -> str | None:
    """`(i - 3 >= 0) over (%i)`."""
    if condition.data.num_dims != len(ivs) + len(labels):
        return None
    names = [*(p.names.of(value) for value in ivs), *labels]
    text = set_text(condition.data, names)
    if text is None:
        return None
    constraints: Sequence[AffineConstraintExpr] = condition.data.constraints
    over = _over(p, ivs, is_clear(p, [constraint.lhs for constraint in constraints], ivs))
    return None if over is None else f"({text}){over}"


def labels_of(type_: Attribute) -> tuple[str, ...] | None:
    """The names of a tile's axes, if expressions can name them."""
    if not isinstance(type_, TileType):
        return None
    if any(AXIS.fullmatch(name) is None or name in RESERVED for name in type_.labels):
        return None
    return type_.labels


def _access(
    p: TextPrinter,
    buffer: SSAValue,
    ivs: Sequence[SSAValue],
    opaque: Sequence[SSAValue],
    map_attr: Attribute | None,
    labels: Sequence[str],
) -> str | None:
    """`%x[8 * %io + i, (%id)] over (...)`."""
    if not isinstance(map_attr, AffineMapAttr):
        return None
    map_ = map_attr.data
    if map_.num_dims != len(ivs) + len(labels) or map_.num_symbols != len(opaque):
        return None
    _, syms = order_of_use(map_.results)
    if not map_is_stable(map_) or syms != list(range(len(opaque))):
        return None
    if any(not isinstance(value.type, TileType) for value in opaque):
        return None
    if len({id(value) for value in opaque}) != len(opaque):
        return None
    over = _over(p, ivs, is_clear(p, map_.results, ivs))
    if over is None:
        return None
    names = [*(p.names.of(value) for value in ivs), *labels]
    symbols = [f"({p.names.of(value)})" for value in opaque]
    indices = ", ".join(text_of(result, names, symbols) for result in map_.results)
    return f"{p.names.of(buffer)}[{indices}]{over}"


def _load(p: TextPrinter, op: Operation, indent: str) -> str | None:
    sizes = segments(op, 4)
    more = extra(p, op, ("map", "fill", _SEGMENTS), "")
    if sizes is None or more is None or sizes[0] != 1 or sizes[3] > 1 or len(op.results) != 1:
        return None
    type_ = op.results[0].type
    labels = labels_of(type_)
    if labels is None:
        return None
    values = list(op.operands)
    ivs, opaque = values[1 : 1 + sizes[1]], values[1 + sizes[1] : 1 + sizes[1] + sizes[2]]
    access = _access(p, values[0], ivs, opaque, op.properties.get("map"), labels)
    fill = _fill(op.properties.get("fill"), cast("TileType", type_).element_type)
    if access is None or fill is None:
        return None
    mask = f" mask {p.names.of(values[-1])}" if sizes[3] else ""
    return f"loop.load {access}{mask}{fill}{more} : {p.attributes.of(type_)}"


def _fill(fill: Attribute | None, element: Attribute) -> str | None:
    if fill is None:
        return ""
    number = number_text(fill)
    if number is None or cast("Any", fill).type != element:
        return None
    return f" else {number}"


def _store(p: TextPrinter, op: Operation, indent: str) -> str | None:
    sizes = segments(op, 5)
    more = extra(p, op, ("map", _SEGMENTS), "")
    if sizes is None or more is None or sizes[:2] != [1, 1] or sizes[4] > 1 or op.results:
        return None
    values = list(op.operands)
    labels = labels_of(values[0].type)
    if labels is None:
        return None
    ivs, opaque = values[2 : 2 + sizes[2]], values[2 + sizes[2] : 2 + sizes[2] + sizes[3]]
    access = _access(p, values[1], ivs, opaque, op.properties.get("map"), labels)
    if access is None:
        return None
    mask = f" mask {p.names.of(values[-1])}" if sizes[4] else ""
    return f"loop.store {p.names.of(values[0])}, {access}{mask}{more}"


def _prefetch(p: TextPrinter, op: Operation, indent: str) -> str | None:
    more = extra(p, op, ("map",), "")
    if more is None or not op.operands or op.results or op.regions:
        return None
    source, *ivs = op.operands
    access = _access(p, source, ivs, (), op.properties.get("map"), ())
    return None if access is None else f"loop.prefetch {access}{more}"


def _over_tile(p: TextPrinter, op: Operation, indent: str) -> str | None:
    """loop.mask and loop.iota."""
    if len(op.results) != 1 or op.regions:
        return None
    type_ = op.results[0].type
    labels = labels_of(type_)
    more = extra(p, op, ("condition" if op.name == "loop.mask" else "map",), "")
    if labels is None or more is None:
        return None
    ivs = list(op.operands)
    what = op.properties.get("condition") or op.properties.get("map")
    if op.name == "loop.mask":
        if not isinstance(what, AffineSetAttr):
            return None
        text = _condition(p, what, ivs, labels)
    else:
        text = _position(p, what, ivs, labels)
    return None if text is None else f"{op.name} {text}{more} : {p.attributes.of(type_)}"


def _position(
    p: TextPrinter, map_attr: Attribute | None, ivs: Sequence[SSAValue], labels: Sequence[str]
) -> str | None:
    if not isinstance(map_attr, AffineMapAttr):
        return None
    map_ = map_attr.data
    if len(map_.results) != 1 or map_.num_symbols or not map_is_stable(map_):
        return None
    if map_.num_dims != len(ivs) + len(labels):
        return None
    over = _over(p, ivs, is_clear(p, map_.results, ivs))
    names = [*(p.names.of(value) for value in ivs), *labels]
    return None if over is None else f"({text_of(map_.results[0], names, ())}){over}"


def _reduce(p: TextPrinter, op: Operation, indent: str) -> str | None:
    combiner, axis = op.properties.get("combiner"), op.properties.get("axis")
    more = extra(p, op, ("combiner", "axis"), "")
    if more is None or not isinstance(combiner, StringAttr) or not isinstance(axis, StringAttr):
        return None
    if AXIS.fullmatch(combiner.data) is None or not op.operands or not op.results:
        return None
    head = f"loop.reduce {combiner.data} {p.attributes.of(axis)} {p.operands(op)}"
    return f"{head}{more} : {p.attributes.many(op.result_types)}"


FORMS["loop.kernel"] = _kernel
FORMS["loop.for"] = _for
FORMS["loop.stmt"] = _stmt
FORMS["loop.if"] = _if
FORMS["loop.load"] = _load
FORMS["loop.store"] = _store
FORMS["loop.prefetch"] = _prefetch
FORMS["loop.mask"] = FORMS["loop.iota"] = _over_tile
FORMS["loop.reduce"] = _reduce
