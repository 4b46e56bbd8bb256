"""Scalar bodies: expressions to ops. `expression_text.py` is the way back.

    { %x[i, k] * %w[k, j] }      { max(%c[i, j] + %b[j], 0.0) }      { %table[(%id), j] else 0.0 }

A literal takes the type of what stands beside it; where nothing tells, it is written `(0.0 : f32)`.
Ops come in the order in which the expression is read: operands first, from left to right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerAttr,
    StringAttr,
    i1,
    i64,
)
from xdsl.ir import Attribute, Block, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineExpr, AffineMap, AffineSymExpr

from ..core.errors import did_you_mean
from . import scalar_ops
from .errors import Malformed
from .index_text import MAX_DEPTH, IndexReader, position_of
from .literals import bare_number, is_float
from .tables import Node

if TYPE_CHECKING:
    from .builder import Builder


@dataclass
class Space:
    """The index space around a body.

    Attributes:
        dialect: "te" or "loop": whose read, index and coeff ops a body holds.
        axes: names of the axes, in order.
        ivs: the loop variables of a statement; none in te.
        yields: the types that the body's yield must have, where they are known.
    """

    dialect: str
    axes: tuple[str, ...]
    ivs: tuple[SSAValue, ...] = ()
    yields: tuple[Attribute, ...] = ()


class BodyBuilder:
    """Builds the ops of expressions at the end of a block."""

    def __init__(self, builder: Builder, block: Block, space: Space):
        self._builder = builder
        self._block = block
        self._space = space

    def build(self, node: Node, expected: Attribute | None, depth: int = 0) -> SSAValue:
        """The value of an expression; `expected` types the literals in it.

        Raises: Malformed: unknown names, types that do not fit.
        """
        if depth > MAX_DEPTH:
            raise Malformed(position_of(node), f"the expression nests deeper than {MAX_DEPTH}")
        match node:
            case ("value", (position, name)):
                return self._builder.scopes.value(name, position)
            case ("parens", inner):
                return self.build(inner, expected, depth + 1)
            case ("read" | "name" | "coeff", *_):
                return self._leaf(node, depth)
            case ("call", (position, name), arguments):
                return self._call(name, position, arguments or [], expected, depth)
            case ("binary", left, (position, mark), right):
                return self._binary(left, mark, right, position, expected, depth)
            case ("unary", (position, mark), inner) if self._literal(node) is None:
                value = self.build(inner, expected, depth + 1)
                return value if mark == "+" else self._negated(value, position)
            case ("conjunction", *_):
                raise Malformed(position_of(node), "'and' stands in affine conditions only")
            case _:
                return self._constant(node, expected)

    def _negated(self, value: SSAValue, position: int) -> SSAValue:
        if not is_float(value.type):
            raise Malformed(position, f"'-' takes a float, got {value.type}")
        return self._op("arith.negf", [value], value.type, position)

    # --- leaves

    def _leaf(self, node: Node, depth: int) -> SSAValue:
        match node:
            case ("read", token, indices, fill):
                return self._read(token, indices or [], fill, depth)
            case ("name", (position, name)):
                return self._index(name, position)
            case _:
                _, text, types, indices = node
                return self._coeff(text, types, indices or [], depth)

    def _literal(self, node: Node) -> tuple[str, Node | None, int] | None:
        """(text, type token, offset) of a literal, its sign included."""
        match node:
            case ("integer" | "float" | "bits", (position, text)):
                return text, None, position
            case ("true" | "false" as text,):
                return text, None, 0
            case ("typed_literal", *signs, number, types):
                inner = self._literal(number)
                assert inner is not None
                is_negative = any(sign is not None and sign[1] == "-" for sign in signs)
                return f"{'-' if is_negative else ''}{inner[0]}", types, inner[2]
            case ("unary", (position, "-"), ("integer" | "float", (_, text))):
                return f"-{text}", None, position
            case _:
                return None

    def _constant(self, node: Node, expected: Attribute | None) -> SSAValue:
        literal = self._literal(node)
        assert literal is not None, node
        text, type_token, position = literal
        if type_token is not None:
            expected = self._builder.reader.type(type_token[1], type_token[0])
        elif expected is None and text in ("true", "false"):
            expected = i1
        if expected is None:
            raise Malformed(position, f"the type of {text} is not clear: write ({text} : f32)")
        value = bare_number(text, expected)
        if value is None:
            raise Malformed(position, f"{text} is no literal of type {expected}")
        return self._op("arith.constant", [], expected, position, {"value": value})

    def _index(self, name: str, position: int) -> SSAValue:
        self._axis(name, position)
        properties: dict[str, Attribute] = {"axis": StringAttr(name)}
        return self._op(f"{self._space.dialect}.index", [], IndexType(), position, properties)

    def _axis(self, name: str, position: int) -> AffineExpr:
        if name not in self._space.axes:
            hint = did_you_mean(name, [*self._space.axes, *scalar_ops.FUNCTIONS], most=2)
            axes = ", ".join(self._space.axes) or "none"
            raise Malformed(position, f"there is no axis '{name}' here (axes: {axes})", hint)
        return AffineDimExpr(self._space.axes.index(name))

    def _read(
        self, token: Node, indices: Sequence[Node], fill: Node | None, depth: int
    ) -> SSAValue:
        source = self._builder.scopes.value(token[1], token[0])
        element: Attribute | None = getattr(source.type, "element_type", None)
        if element is None:
            raise Malformed(token[0], f"{token[1]} is no tensor or buffer but {source.type}")
        map_, symbols = self._map(indices, depth)
        properties: dict[str, Attribute] = {"map": AffineMapAttr(map_)}
        if fill is not None:
            properties["fill"] = self.fill(fill, element)
        name = f"{self._space.dialect}.read"
        return self._op(name, [source, *symbols], element, token[0], properties)

    def fill(self, node: Node, element: Attribute) -> Attribute:
        """The value after `else`, of an element type."""
        _, sign, literal = node
        value = self._literal(literal)
        assert value is not None
        text, type_token, position = value
        if sign is not None and sign[1] == "-":
            text = f"-{text}"
        if type_token is not None:
            element = self._builder.reader.type(type_token[1], type_token[0])
        number = bare_number(text, element)
        if number is None:
            raise Malformed(position, f"{text} is no literal of type {element}")
        return number

    def _coeff(self, text: Node, types: Node, indices: Sequence[Node], depth: int) -> SSAValue:
        values = self._builder.reader.attribute(f"{text[1]} : {types[1]}", text[0])
        if not isinstance(values, DenseIntOrFPElementsAttr):
            raise Malformed(text[0], "expected 'dense<...> : tensor<...>'")
        map_, symbols = self._map(indices, depth)
        if symbols:
            raise Malformed(text[0], "the indices of a coefficient are affine")
        properties: dict[str, Attribute] = {
            "values": cast("Attribute", values),
            "map": AffineMapAttr(map_),
        }
        element: Attribute = cast("Any", values).get_element_type()
        return self._op(f"{self._space.dialect}.coeff", [], element, text[0], properties)

    def _map(self, indices: Sequence[Node], depth: int) -> tuple[AffineMap, list[SSAValue]]:
        """The map of an access and its opaque indices.

        Loop variables are dimensions behind the axes first; they become symbols behind the opaque
        ones, whose number is known only at the end.
        """
        opaque: list[SSAValue] = []
        space = self._space
        num_axes = len(space.axes)

        def symbol(value: SSAValue, position: int) -> AffineExpr:
            if not isinstance(value.type, IndexType):
                raise Malformed(position, f"an index is of type index, got {value.type}")
            for number, known in enumerate(opaque):
                if known is value:
                    return AffineSymExpr(number)
            opaque.append(value)
            return AffineSymExpr(len(opaque) - 1)

        def read_value(token: Node, in_parens: bool) -> AffineExpr:
            value = self._builder.scopes.value(token[1], token[0])
            if not in_parens:
                for number, variable in enumerate(space.ivs):
                    if variable is value:
                        return AffineDimExpr(num_axes + number)
            return symbol(value, token[0])

        def read_scalar(node: Node) -> AffineExpr:
            return symbol(self.build(node, IndexType(), depth + 1), position_of(node))

        reader = IndexReader(self._axis, read_value, read_scalar)
        results = [reader.read(index) for index in indices]
        dims: list[AffineExpr] = [AffineDimExpr(number) for number in range(num_axes)]
        dims += [AffineSymExpr(len(opaque) + number) for number in range(len(space.ivs))]
        results = [result.replace_dims_and_symbols(dims, ()) for result in results]
        return AffineMap(num_axes, len(opaque) + len(space.ivs), tuple(results)), opaque

    # --- operators and functions

    def infer(self, node: Node) -> Attribute | None:
        """The type of an expression, None for a literal whose neighbours must tell."""
        pending = [node]
        while pending:
            inner = pending.pop()
            match inner:
                case ("parens", only) | ("unary", _, only):
                    pending.append(only)
                case ("binary", left, (_, mark), right):
                    if mark in scalar_ops.COMPARISONS:
                        return i1
                    pending += [right, left]
                case ("call", (position, name), arguments):
                    found = self._infer_call(name, position, arguments or [], pending)
                    if found is not None:
                        return found
                case _:
                    if (found := self._infer_leaf(inner)) is not None:
                        return found
        return None

    def _infer_leaf(self, node: Node) -> Attribute | None:
        match node:
            case ("value", (position, name)):
                return self._builder.scopes.value(name, position).type
            case ("read", (position, name), _, _):
                source = self._builder.scopes.value(name, position)
                return getattr(source.type, "element_type", None)
            case ("name", _):
                return IndexType()
            case ("coeff", _, types, _):
                return getattr(self._builder.reader.type(types[1], types[0]), "element_type", None)
            case _:
                return self._infer_literal(node)

    def _infer_literal(self, node: Node) -> Attribute | None:
        match node:
            case ("typed_literal", *_, types):
                return self._builder.reader.type(types[1], types[0])
            case ("true" | "false",):
                return i1
            case _:
                return None

    def _infer_call(
        self, name: str, position: int, arguments: list[Node], pending: list[Node]
    ) -> Attribute | None:
        if name in scalar_ops.CASTS and arguments:
            return self._type_argument(arguments[-1], position)
        if name in scalar_ops.PREDICATES or name in ("cmpf", "cmpi"):
            return i1
        pending += reversed(arguments[1:] if name == "select" else arguments)
        return None

    def _common(self, nodes: Sequence[Node], expected: Attribute | None) -> Attribute | None:
        for node in nodes:
            found = self.infer(node)
            if found is not None:
                return found
        return expected

    def _binary(
        self,
        left: Node,
        mark: str,
        right: Node,
        position: int,
        expected: Attribute | None,
        depth: int,
    ) -> SSAValue:
        if mark in scalar_ops.COMPARISONS:
            return self._compare(left, right, mark, None, position, depth)
        if mark not in scalar_ops.OPERATORS:
            raise Malformed(position, f"'{mark}' stands in index expressions only")
        type_ = self._common([left, right], expected)
        values = [self.build(side, type_, depth + 1) for side in (left, right)]
        self._same_type(values, position)
        names = scalar_ops.OPERATORS[mark]
        name = names[0 if is_float(values[0].type) else 1]
        return self._op(name, values, values[0].type, position)

    def _compare(
        self,
        left: Node,
        right: Node,
        mark: str | None,
        predicate: str | None,
        position: int,
        depth: int,
    ) -> SSAValue:
        type_ = self._common([left, right], None)
        values = [self.build(side, type_, depth + 1) for side in (left, right)]
        self._same_type(values, position)
        float_op = is_float(values[0].type)
        if mark is not None:
            predicate = scalar_ops.COMPARISONS[mark][0 if float_op else 1]
        names = scalar_ops.CMPF if float_op else scalar_ops.CMPI
        if predicate not in names:
            raise Malformed(position, f"unknown predicate '{predicate}'", ", ".join(names))
        properties: dict[str, Attribute] = {"predicate": IntegerAttr(names.index(predicate), i64)}
        return self._op(
            "arith.cmpf" if float_op else "arith.cmpi", values, i1, position, properties
        )

    @staticmethod
    def _same_type(values: Sequence[SSAValue], position: int) -> None:
        for value in values[1:]:
            if value.type != values[0].type:
                raise Malformed(position, f"operands have types {values[0].type} and {value.type}")

    def _call(
        self,
        name: str,
        position: int,
        arguments: Sequence[Node],
        expected: Attribute | None,
        depth: int,
    ) -> SSAValue:
        if name in scalar_ops.OVERLOADED:
            values = self._arguments(
                name, 2 if name != "abs" else 1, arguments, position, expected, depth
            )
            op_name = scalar_ops.OVERLOADED[name][0 if is_float(values[0].type) else 1]
            return self._op(op_name, values, values[0].type, position)
        if name in scalar_ops.FUNCTIONS:
            op_name, count = scalar_ops.FUNCTIONS[name]
            values = self._arguments(name, count, arguments, position, expected, depth)
            return self._op(op_name, values, values[0].type, position)
        if name in scalar_ops.PREDICATES:
            values = self._arguments(name, 1, arguments, position, None, depth)
            return self._op(scalar_ops.PREDICATES[name], values, i1, position)
        if name in scalar_ops.CASTS:
            self._check_count(name, 2, arguments, position)
            value = self.build(arguments[0], None, depth + 1)
            type_ = self._type_argument(arguments[1], position)
            return self._op(scalar_ops.CASTS[name], [value], type_, position)
        if name == "select":
            self._check_count(name, 3, arguments, position)
            condition = self.build(arguments[0], i1, depth + 1)
            values = self._arguments(name, 2, arguments[1:], position, expected, depth)
            return self._op("arith.select", [condition, *values], values[0].type, position)
        if name in ("cmpf", "cmpi"):
            self._check_count(name, 3, arguments, position)
            match arguments[0]:
                case ("name", (_, predicate)):
                    return self._compare(
                        arguments[1], arguments[2], None, predicate, position, depth
                    )
                case ("true" | "false" as predicate,):
                    return self._compare(
                        arguments[1], arguments[2], None, predicate, position, depth
                    )
                case _:
                    raise Malformed(position, f"'{name}' takes a predicate first")
        known = [*scalar_ops.FUNCTIONS, *scalar_ops.OVERLOADED, *scalar_ops.CASTS, "select"]
        raise Malformed(
            position, f"there is no function '{name}'", did_you_mean(name, known, most=2)
        )

    def _arguments(
        self,
        name: str,
        count: int,
        arguments: Sequence[Node],
        position: int,
        expected: Attribute | None,
        depth: int,
    ) -> list[SSAValue]:
        self._check_count(name, count, arguments, position)
        type_ = self._common(arguments, expected)
        values = [self.build(argument, type_, depth + 1) for argument in arguments]
        self._same_type(values, position)
        return values

    @staticmethod
    def _check_count(name: str, count: int, arguments: Sequence[Node], position: int) -> None:
        if len(arguments) != count:
            raise Malformed(position, f"'{name}' takes {count} arguments, got {len(arguments)}")

    def _type_argument(self, node: Node, position: int) -> Attribute:
        match node:
            case ("name", (where, name)):
                return self._builder.reader.type(name, where)
            case _:
                raise Malformed(position, "expected a type as the last argument")

    def _op(
        self,
        name: str,
        operands: Sequence[SSAValue],
        type_: Attribute,
        position: int,
        properties: dict[str, Attribute] | None = None,
    ) -> SSAValue:
        op_class = self._builder.op_class(name, position)
        defaults = scalar_ops.default_properties(op_class)
        op: Any = op_class.create(
            operands=operands,
            result_types=[type_],
            properties={**defaults, **(properties or {})},
            location=self._builder.locations.at(position),
        )
        self._block.add_op(op)
        return op.results[0]
