"""te: kernels, computes and scans to text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    FunctionType,
    IndexType,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region

from ...dialects.index_space import REDUCE, AxisAttr
from ..attribute_text import quoted, symbol_text
from ..expression_text import BodyText
from ..expressions import Space
from ..printer import FORMS, Task, TextPrinter, may_omit_label
from .print_core import binds, entry_block, extra, returns

AXIS = re.compile(r"[A-Za-z_][\w$]*(?:\.[\w$]+)*", re.ASCII)
RESERVED = frozenset({"floordiv", "ceildiv", "mod", "true", "false", "coeff", "always", "_", "and"})


def name_list(attribute: Attribute | None) -> list[str] | None:
    """The strings of an array, None for anything else."""
    if not isinstance(attribute, ArrayAttr):
        return None
    items = [
        item.data
        for item in cast("ArrayAttr[Attribute]", attribute)
        if isinstance(item, StringAttr)
    ]
    return items if len(items) == len(cast("ArrayAttr[Attribute]", attribute)) else None


def position_set(attribute: Attribute | None) -> set[int] | None:
    """The numbers of `const_args`, if they are written as they are read: ascending i64."""
    if attribute is None:
        return set()
    if not isinstance(attribute, ArrayAttr):
        return None
    numbers: list[int] = []
    for item in cast("ArrayAttr[Attribute]", attribute):
        if not isinstance(item, IntegerAttr) or cast("Any", item).type != i64:
            return None
        numbers.append(item.value.data)
    return set(numbers) if numbers and numbers == sorted(set(numbers)) else None


def argument(
    p: TextPrinter, value: BlockArgument, name: str, *, const: bool, out: bool = False
) -> str:
    """`%w: tensor<4xf32> const`; ` as "name"` where schedules know it by another name."""
    printed = p.names.prefer(value, name)
    alias = "" if printed == f"%{name}" else f" as {quoted(name)}"
    type_ = f"{'out ' if out else ''}{p.attributes.of(value.type)}{' const' if const else ''}"
    return f"{printed}{alias}: {type_}{p.location(value)}"


def _kernel(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    block = entry_block(op)
    properties = op.properties
    type_, name = properties.get("function_type"), properties.get("sym_name")
    names, const = (
        name_list(properties.get("arg_names")),
        position_set(properties.get("const_args")),
    )
    more = extra(p, op, ("sym_name", "function_type", "arg_names", "const_args"))
    if block is None or more is None or names is None or const is None:
        return None
    if not isinstance(type_, FunctionType) or not isinstance(name, StringAttr):
        return None
    if tuple(block.arg_types) != tuple(type_.inputs.data) or len(names) != len(block.args):
        return None
    if any(position not in range(len(names)) for position in const):
        return None
    return _kernel_text(p, op, f"te.kernel {symbol_text(name.data)}(", names, const, more, indent)


def _kernel_text(
    p: TextPrinter,
    op: Operation,
    head: str,
    names: Sequence[str],
    const: set[int],
    more: str,
    indent: str,
) -> Task:
    mark = p.names.enter()
    arguments = [
        argument(p, value, name, const=at in const)
        for at, (value, name) in enumerate(zip(op.regions[0].block.args, names, strict=True))
    ]
    type_ = cast("FunctionType", op.properties["function_type"])
    p.write(f"{head}{', '.join(arguments)}){returns(p, type_.outputs.data)}{more} ")
    yield p.open_region(op.regions[0], indent, label=False)
    p.names.leave(mark)


# --- index spaces


def axes_of(op: Operation) -> tuple[AxisAttr, ...] | None:
    """The axes, if the text can name them: parallel ones first, plain names, each once."""
    axes = op.properties.get("axes")
    if not isinstance(axes, ArrayAttr):
        return None
    found: list[AxisAttr] = []
    for axis in cast("ArrayAttr[Attribute]", axes):
        if not isinstance(axis, AxisAttr) or axis.extent.type != i64:
            return None
        if AXIS.fullmatch(axis.label) is None or axis.label in RESERVED or axis.size < 0:
            return None
        found.append(axis)
    kinds = [axis.is_reduce for axis in found]
    labels = {axis.label for axis in found}
    return tuple(found) if kinds == sorted(kinds) and len(labels) == len(found) else None


def axes_text(axes: Sequence[AxisAttr]) -> str:
    """`[i: 128, j: 64]`."""
    return f"[{', '.join(f'{axis.label}: {axis.size}' for axis in axes)}]"


def reduction_text(op: Operation, axes: Sequence[AxisAttr]) -> str | None:
    """` sum [k: 768]`, ` reduce [k: 768]` for a combine region, nothing without reduce axes."""
    reduce = [axis for axis in axes if axis.kind.data == REDUCE]
    combiner = op.properties.get("combiner")
    names = name_list(combiner)
    if combiner is not None and (not names or names == ["reduce"]):
        return None
    if names and not all(AXIS.fullmatch(name) for name in names):
        return None
    if not reduce and not names:
        return ""
    return f" {', '.join(names or ['reduce'])} {axes_text(reduce)}"


def body(
    p: TextPrinter, region: Region, space: Space, indent: str, yield_name: str, head: str = ""
) -> Task:
    """`{ %x[i] * 2.0 }`, or lines in braces."""
    block = region.block
    spelled = None
    if p.skip_regions:
        p.write(f"{head}{{...}}")
        return
    if block.last_op is not None and block.last_op.name == yield_name:
        spelled = BodyText(p, space).lines(block)
    if spelled is None or p.each_op:
        p.write(head)
        yield p.open_region(region, indent, label=False)
        return
    lines, values = spelled
    if not lines and values:
        p.write(f"{head}{{ {values} }}")
        return
    p.write(f"{head}{{\n")
    for op, line in lines:
        p.note(op)
        p.write(f"{indent}  {line}\n")
    if region.block.last_op is not None:
        p.note(region.block.last_op)
    p.write(f"{indent}  {yield_name}{' ' if values else ''}{values}\n{indent}}}")


def combine(p: TextPrinter, op: Operation, space: Space, indent: str, yield_name: str) -> Task:
    """` init [...] combine (...) {...}`, as far as there is one."""
    init = op.properties.get("init")
    if init is not None:
        p.write(f" init {p.attributes.of(init)}")
    if len(op.regions) == 2:
        block = op.regions[1].block
        arguments = ", ".join(p.argument(value) for value in block.args)
        yield body(p, op.regions[1], space, indent, yield_name, f" combine ({arguments}) ")


def has_bodies(op: Operation) -> bool:
    """Whether there is a body and perhaps a combine region, of one block each, as forms need."""
    regions = op.regions
    if not 1 <= len(regions) <= 2 or any(
        len(region.blocks) != 1 or not may_omit_label(region.block) for region in regions
    ):
        return False
    init = op.properties.get("init")
    return not regions[0].block.args and (init is None or isinstance(init, ArrayAttr))


def element_types(types: Sequence[Attribute]) -> tuple[Any, ...]:
    """The element type of each tensor."""
    return tuple(getattr(type_, "element_type", None) for type_ in types)


def _compute(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    axes, name = axes_of(op), op.properties.get("sym_name")
    more = extra(p, op, ("sym_name", "axes", "combiner", "init"))
    if axes is None or more is None or not isinstance(name, StringAttr) or not has_bodies(op):
        return None
    reduction = reduction_text(op, axes)
    if reduction is None:
        return None
    parallel = axes_text([axis for axis in axes if not axis.is_reduce])
    head = f"te.compute {symbol_text(name.data)} {parallel}{reduction}{more} "
    labels = tuple(axis.label for axis in axes)
    space = Space("te", labels, (), element_types(op.result_types))
    return _compute_text(p, op, head, space, indent)


def _compute_text(p: TextPrinter, op: Operation, head: str, space: Space, indent: str) -> Task:
    yield body(p, op.regions[0], space, indent, "te.yield", head)
    yield combine(p, op, space, indent, "te.yield")
    if op.results:
        p.write(f" : {p.attributes.many(op.result_types)}")


def _scan(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    block, axis, name = entry_block(op), op.properties.get("axis"), op.properties.get("sym_name")
    more = extra(p, op, ("sym_name", "axis", "reverse"))
    if block is None or more is None or not isinstance(axis, AxisAttr):
        return None
    if not isinstance(name, StringAttr) or axis.is_reduce or axis.extent.type != i64:
        return None
    if AXIS.fullmatch(axis.label) is None or axis.label in RESERVED or axis.size < 0:
        return None
    if list(block.arg_types) != [IndexType(), *op.operand_types]:
        return None
    reverse = op.properties.get("reverse")
    if reverse is not None and not isinstance(reverse, UnitAttr):
        return None
    return _scan_text(p, op, axis, f"te.scan {symbol_text(name.data)}", more, indent)


def _scan_text(
    p: TextPrinter, op: Operation, axis: AxisAttr, head: str, more: str, indent: str
) -> Task:
    block: Block = op.regions[0].block
    step = p.names.prefer(block.args[0], axis.label)
    clause = "" if step == f"%{axis.label}" else f" step {step}"
    reverse = " reverse" if "reverse" in op.properties else ""
    arguments = binds(p, block.args[1:], list(op.operands))
    p.write(f"{head} {axes_text([axis])}{reverse}{clause} ({arguments}){more} ")
    yield p.open_region(op.regions[0], indent, label=False)
    if op.results:
        p.write(f" : {p.attributes.many(op.result_types)}")


FORMS["te.kernel"] = _kernel
FORMS["te.compute"] = _compute
FORMS["te.scan"] = _scan
