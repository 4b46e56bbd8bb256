"""Pass pipelines: their text, and running them.

    pipeline ::= element (`,` element)*
    element  ::= pass options? | anchor `(` pipeline `)`
    options  ::= `{` (key (`=` value (`,` value)*)?)* `}`

An anchor is an op's name. `builtin.module(...)` around everything is the default; passes inside
another anchor run on each such op by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import NoReturn

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.utils.arg_spec import ArgSpec, ParameterListType, ParameterType

from ...core.errors import PassError
from .registry import Registry

MODULE = "builtin.module"


@dataclass(frozen=True)
class Spec:
    """One pass of a pipeline's text: its flag, its options, and the anchors around it."""

    name: str
    options: dict[str, ParameterListType]
    anchors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One pass to run, on the module or on each op of a kind."""

    pass_: ModulePass
    anchors: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The pass's name on the command line."""
        return self.pass_.name

    @property
    def title(self) -> str:
        """The pass's class name, as MLIR's banners have it."""
        return type(self.pass_).__name__.removesuffix("Pass")

    def apply(self, context: Context, module: ModuleOp) -> None:
        """Run it."""
        for scope in _scopes(module, self.anchors):
            if isinstance(scope, ModuleOp):
                self.pass_.apply(context, scope)
            else:
                self._apply_inside(context, module, scope)

    def _apply_inside(self, context: Context, module: ModuleOp, op: Operation) -> None:
        """Run on one op as if it were alone in a module, then put back what came of it."""
        block = op.parent
        assert block is not None, "an anchored op stands in a block"
        following = op.next_op
        op.detach()
        alone = ModuleOp([op], dict(module.attributes))
        try:
            self.pass_.apply(context, alone)
        finally:
            for made in list(alone.body.block.ops):
                made.detach()
                if following is None:
                    block.add_op(made)
                else:
                    block.insert_op_before(made, following)


def _scopes(module: ModuleOp, anchors: Iterable[str]) -> list[Operation]:
    scopes: list[Operation] = [module]
    for anchor in anchors:
        scopes = [
            op
            for scope in scopes
            for region in scope.regions
            for block in region.blocks
            for op in block.ops
            if op.name == anchor
        ]
    return scopes


def build(texts: Iterable[str], registry: Registry) -> list[Step]:
    """The steps that the texts of `-p` and `--pass-pipeline` name.

    Raises: PassError: a malformed text, an unknown pass or option, an option of the wrong type.
    """
    return [make_step(spec, registry) for text in texts for spec in parse(text)]


def make_step(spec: Spec, registry: Registry) -> Step:
    """The pass that a spec names, with its options."""
    class_ = registry.find_pass(spec.name)
    options = checked_options("pass", spec, {f.name: f.type for f in fields(class_)})
    try:
        return Step(class_.from_spec(ArgSpec(spec.name, options)), spec.anchors)
    except ValueError as error:
        raise PassError(f"options of pass '{spec.name}': {error}") from None


def checked_options(
    kind: str, spec: Spec, types: Mapping[str, object]
) -> dict[str, ParameterListType]:
    """The options of a pass or target, by the names and types of its fields.

    Raises: PassError: an unknown option.
    """
    known = {name: type_ for name, type_ in types.items() if name != "name"}
    options = {key.replace("-", "_"): value for key, value in spec.options.items()}
    for key in options.keys() - known.keys():
        near = get_close_matches(key, known, 1)
        offered = ", ".join(name.replace("_", "-") for name in known) or "none"
        hint = f"did you mean '{near[0].replace('_', '-')}'?" if near else f"its options: {offered}"
        message = f"{kind} '{spec.name}' has no option '{key.replace('_', '-')}'"
        raise PassError(message, hint=hint)
    for key, value in options.items():
        if value == () and "bool" in str(known[key]):
            options[key] = (True,)
        elif "str" in str(known[key]) and "int" not in str(known[key]):
            options[key] = tuple(_as_text(part) for part in value)
        elif "float" in str(known[key]):
            options[key] = tuple(float(v) if type(v) is int else v for v in value)
    return options


def _as_text(value: ParameterType) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse(text: str) -> list[Spec]:
    """The passes of a pipeline's text, in order.

    >>> [spec.name for spec in parse("builtin.module(cse,func.func(dce))")]
    ['cse', 'dce']
    """
    reader = _Reader(text)
    specs = reader.pipeline(())
    reader.expect_end()
    return [_without_module(spec) for spec in specs]


def _without_module(spec: Spec) -> Spec:
    inner = spec.anchors[1:] if spec.anchors[:1] == (MODULE,) else spec.anchors
    return replace(spec, anchors=inner)


def render(steps: Iterable[Step]) -> str:
    """The pipeline's text, anchored as MLIR prints it."""
    parts: list[str] = []
    for step in steps:
        text = str(step.pass_.spec(include_default=False))
        for anchor in reversed(step.anchors):
            text = f"{anchor}({text})"
        parts.append(text)
    return f"{MODULE}({','.join(parts)})"


_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
_VALUE = re.compile(r'"(?:\\.|[^"\\])*"|[^\s,{}"]+')
_INT = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*([eE][-+]?\d+)?|\d+[eE][-+]?\d+)")


class _Reader:
    """A recursive-descent reader of one pipeline's text."""

    def __init__(self, text: str):
        self.text = text
        self.at = 0

    def pipeline(self, anchors: tuple[str, ...]) -> list[Spec]:
        specs: list[Spec] = []
        while self.peek() not in ("", ")"):
            specs += self.element(anchors)
            if self.peek() != ",":
                break
            self.at += 1
        return specs

    def element(self, anchors: tuple[str, ...]) -> list[Spec]:
        name = self.match(_NAME, "a pass or an op's name")
        if self.peek() == "(":
            self.at += 1
            inside = self.pipeline((*anchors, name))
            self.expect(")")
            return inside
        return [Spec(name, self.options() if self.peek() == "{" else {}, anchors)]

    def options(self) -> dict[str, ParameterListType]:
        self.expect("{")
        options: dict[str, ParameterListType] = {}
        while self.peek() != "}":
            key = self.match(_NAME, "an option's name or '}'")
            options[key] = ()
            if self.peek() == "=":
                self.at += 1
                options[key] = self.values()
        self.expect("}")
        return options

    def values(self) -> ParameterListType:
        values = [_value(self.match(_VALUE, "a value"))]
        while self.peek() == ",":
            self.at += 1
            values.append(_value(self.match(_VALUE, "a value")))
        return tuple(values)

    def peek(self) -> str:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def match(self, pattern: re.Pattern[str], what: str) -> str:
        self.peek()
        found = pattern.match(self.text, self.at)
        if found is None:
            self.fail(what)
        self.at = found.end()
        return found.group()

    def expect(self, character: str) -> None:
        if self.peek() != character:
            self.fail(f"'{character}'")
        self.at += 1

    def expect_end(self) -> None:
        if self.peek():
            self.fail("',' or the end")

    def fail(self, expected: str) -> NoReturn:
        got = f"'{self.text[self.at]}'" if self.at < len(self.text) else "the end"
        raise PassError(
            f"pass pipeline: expected {expected}, got {got}\n{self.text}\n{' ' * self.at}^"
        )


def _value(text: str) -> ParameterType:
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
