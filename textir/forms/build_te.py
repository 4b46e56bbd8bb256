"""te: kernels, computes and scans from their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects.builtin import ArrayAttr, FunctionType, IndexType, StringAttr, UnitAttr
from xdsl.ir import Attribute, Block, Region, SSAValue

from ...core.irtypes import ints, strings
from ...dialects.index_space import PARALLEL, REDUCE, AxisAttr
from ..attributes import unescape
from ..builder import BUILDERS, Builder, Place, Task
from ..errors import Malformed
from ..expressions import Space
from ..tables import Node
from .build_core import (
    argument_types,
    bind_arguments,
    bound_values,
    result_types,
    return_types,
    string_property,
    yielded_values,
)


def argument_names(args: Sequence[Node] | None) -> list[str]:
    """The names that schedules use: those of the values, or what stands after `as`."""
    return [
        node[1][1][1:] if node[2] is None else unescape(node[2][1][1:-1]) for node in args or ()
    ]


def const_positions(args: Sequence[Node] | None) -> list[int]:
    """Which arguments are marked `const`."""
    return [position for position, node in enumerate(args or ()) if node[-2] is not None]


def _kernel(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, args, returns, attrs, region_node = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    properties["function_type"] = FunctionType.from_lists(
        argument_types(builder, args), return_types(builder, returns)
    )
    properties["arg_names"] = strings(argument_names(args))
    if const := const_positions(args):
        properties["const_args"] = ints(const)
    region = Region()
    yield builder.region(region_node, region, is_isolated=True, arguments=args or ())
    builder.finish(op_class.create(properties=properties, attributes=attributes), place, [region])


def read_axes(node: Node, kind: str) -> list[AxisAttr]:
    """`[i: 128, j: 64]`."""
    return [AxisAttr.get(name[1], kind, int(size[1])) for _, name, size in node[1] or ()]


def read_reduction(
    axes: list[AxisAttr], reduction: Node | None, properties: dict[str, Attribute]
) -> None:
    """Add the axes and the combiner of `sum [k: 768]`."""
    if reduction is not None:
        _, names, reduce_axes = reduction
        axes += read_axes(reduce_axes, REDUCE)
        words = [name for _, name in names]
        if words != ["reduce"]:
            properties["combiner"] = strings(words)
    properties["axes"] = ArrayAttr(axes)


def body_task(builder: Builder, node: Node, region: Region, yield_name: str, position: int) -> Task:
    """Fill the region of a body: `{ expr, expr }` or ops."""
    if node[0] != "body_of_values":
        yield builder.region(node, region, arguments=())
        return
    block = Block()
    region.add_block(block)
    yielded(builder, node[1], block, yield_name, position)


def yielded(
    builder: Builder, exprs: list[Node], block: Block, yield_name: str, position: int
) -> None:
    """End a block with the yield of these expressions."""
    values = yielded_values(builder, exprs, block, position)
    op = builder.op_class(yield_name, position).create(
        operands=values, location=builder.locations.at(position)
    )
    block.add_op(op)


def combine_task(builder: Builder, node: Node, region: Region, yield_name: str) -> Task:
    """Fill the combine region: `combine (%a: f32, %v: f32) { ... }`."""
    _, args, body = node
    if body[0] != "body_of_values":
        yield builder.region(body, region, arguments=args or ())
        return
    builder.scopes.enter(False)
    block = Block()
    builder.arguments(args or (), block)
    region.add_block(block)
    yielded(builder, body[1], block, yield_name, args[0][1][0] if args else 0)
    builder.scopes.leave()


def read_init(builder: Builder, token: Node | None, properties: dict[str, Attribute]) -> None:
    """Add `init [0.0 : f32]`."""
    if token is not None:
        properties["init"] = builder.reader.attribute(token[1], token[0])


def element_types(types: Sequence[Attribute]) -> tuple[Any, ...]:
    """The element type of each tensor type."""
    return tuple(getattr(type_, "element_type", None) for type_ in types)


def _compute(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, axes_node, reduction, attrs, body, init, combine, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    axes = read_axes(axes_node, PARALLEL)
    read_reduction(axes, reduction, properties)
    read_init(builder, init, properties)
    results = result_types(builder, types)
    labels = tuple(axis.label for axis in axes)
    builder.spaces.append(Space("te", labels, (), element_types(results)))
    regions = [Region()]
    yield body_task(builder, body, regions[0], "te.yield", position)
    if combine is not None:
        regions.append(Region())
        yield combine_task(builder, combine, regions[1], "te.yield")
    builder.spaces.pop()
    op = op_class.create(result_types=results, properties=properties, attributes=attributes)
    builder.finish(op, place, regions)


def _scan(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, axes_node, reverse, step, binds, attrs, body, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    axes = read_axes(axes_node, PARALLEL)
    if len(axes) != 1:
        raise Malformed(position, f"a scan has one axis, got {len(axes)}")
    properties["axis"] = axes[0]
    if reverse is not None:
        properties["reverse"] = UnitAttr()
    values = bound_values(builder, binds)
    where, step_name = (position, f"%{axes[0].label}") if step is None else step

    def entry(block: Block) -> None:
        variable: SSAValue = block.insert_arg(IndexType(), 0)
        builder.scopes.define(step_name, variable, where)
        bind_arguments(builder, block, binds or [], values)

    region = Region()
    yield builder.region(body, region, entry=entry)
    op = op_class.create(
        operands=values,
        result_types=result_types(builder, types),
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place, [region])


def kind_of(token: Node | None) -> StringAttr:
    """The kind of a loop, serial where none is given."""
    return StringAttr("serial" if token is None else token[1])


BUILDERS["te_kernel"] = _kernel
BUILDERS["te_compute"] = _compute
BUILDERS["te_scan"] = _scan
