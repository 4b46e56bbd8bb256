"""Pass pipelines: their text, and running them.

    pipeline ::= element (`,` element)*
    element  ::= pass options? | anchor `(` pipeline `)`
    options  ::= `{` (key (`=` value (`,` value)*)?)* `}`

An anchor is an op's name: the passes inside run on each such op by itself, wherever it stands
inside what the anchor around it names (one that stands inside another is left out). Around all is
`builtin.module`. A pass without an anchor, `-p form-tiles`, gets the one it declares
(core/passes.py); anchors.py refuses written ones that do not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import groupby
from typing import NoReturn, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.utils.arg_spec import ArgSpec, ParameterListType, ParameterType

from ...core.errors import PassError, did_you_mean
from ...core.passes import OpPass, anchored
from ...core.walk import children
from .flags import Flags, refuse
from .registry import Registry

MODULE = "builtin.module"


@dataclass(frozen=True)
class Spec:
    """One pass of a pipeline's text: its flag, its options, and the anchors around it."""

    name: str
    options: dict[str, ParameterListType]
    anchors: tuple[str, ...] = ()
    is_nested: bool = field(default=False, compare=False)
    """Whether an anchor, `builtin.module` included, was written around it."""


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

    @property
    def text(self) -> str:
        """The pass with its options, as a pipeline spells it."""
        spec = self.pass_.spec(include_default=False)
        options: list[str] = []
        for name, values in spec.parameters.items():
            listed = ",".join(map(_spell, values))
            options.append(name.replace("_", "-") + (f"={listed}" if values else ""))
        return f"{spec.name}{{{' '.join(options)}}}" if options else spec.name

    def scopes(self, module: ModuleOp) -> list[Operation]:
        """The ops to run on: those of the innermost anchor, at any depth, in program order."""
        scopes: list[Operation] = [module]
        for anchor in self.anchors:
            inside = [inner for scope in scopes for inner in children(scope)]
            scopes = [op for inner in inside for op in anchored(inner, anchor)]
        return scopes

    def run(self, context: Context, op: Operation) -> None:
        """Run the pass on one op."""
        pass_ = self.pass_
        if isinstance(pass_, OpPass):
            cast("OpPass[Operation]", pass_).run(context, op)
        else:
            assert isinstance(op, ModuleOp), "anchors.py has checked what the pass runs on"
            pass_.apply(context, op)


def build(texts: Iterable[str], registry: Registry) -> list[Step]:
    """The steps that the texts of `-p` and `--pass-pipeline` name.

    Raises: PassError: a malformed text, an unknown pass or option, an option of the wrong type.
    """
    from .anchors import fit

    specs = [spec for text in texts for spec in parse(text)]
    return fit([(spec, make_step(spec, registry)) for spec in specs], registry)


def pass_flags(flags: Flags, registry: Registry) -> list[str]:
    """The pipelines of the command line, `--name=options` of a pass spelled as `name{options}`.

    Raises: SystemExit: an argument is no flag, and no pass's.
    """
    texts: list[str] = []
    unknown: list[str] = []
    for text in flags.pipelines:
        name, _, options = text.removeprefix("--").partition("=")
        if not text.startswith("--"):
            texts.append(text)
        elif name in registry.passes:
            texts.append(f"{name}{{{options}}}" if options else name)
        else:
            unknown.append(text)
    if unknown:
        refuse(flags, unknown, [f"--{name}" for name in registry.passes])
    return texts


def make_step(spec: Spec, registry: Registry) -> Step:
    """The pass that a spec names, with its options."""
    class_ = registry.find_pass(spec.name)
    types = {f.name: f.type for f in fields(class_)}
    _check_fields(class_, spec, types)
    options = checked_options("pass", spec, types)
    try:
        return Step(class_.from_spec(ArgSpec(spec.name, options)), spec.anchors)
    except ValueError as error:
        what = _wrong_values(options, types, str(error)) or str(error)
        raise PassError(f"options of pass '{spec.name}': {what}") from None


def _check_fields(class_: type[ModulePass], spec: Spec, types: Mapping[str, object]) -> None:
    """Raises: PassError: what is meant as an option is no field of the pass."""
    for key in spec.options:
        name = key.replace("-", "_")
        value = vars(class_).get(name)
        if name not in types and isinstance(value, bool | int | float | str):
            raise PassError(
                f"pass '{spec.name}' has no option '{key}': {class_.__name__}.{name} is no field",
                hint=f"{name}: {type(value).__name__} = {value!r}, in a @dataclass(frozen=True)",
            )


def _wrong_values(
    options: Mapping[str, ParameterListType], types: Mapping[str, object], message: str
) -> str:
    """The options that xDSL's message complains of, which names the value alone."""
    wrong: list[str] = []
    for key, value in options.items():
        if f" given {value}, expected " in message:
            type_ = getattr(types[key], "__name__", types[key])
            got = ",".join(map(str, value)) or "no value"
            wrong.append(f"'{key.replace('_', '-')}' is of type {type_}, got {got}")
    return "; ".join(wrong)


def checked_options(
    kind: str, spec: Spec, types: Mapping[str, object]
) -> dict[str, ParameterListType]:
    """The options of a pass or target, by the names and types of its fields.

    Raises: PassError: an unknown option.
    """
    known = {name: type_ for name, type_ in types.items() if name != "name"}
    options = {key.replace("-", "_"): value for key, value in spec.options.items()}
    for key in options.keys() - known.keys():
        wrong, offered = key.replace("_", "-"), [name.replace("_", "-") for name in known]
        hint = did_you_mean(wrong, offered) or f"its options: {', '.join(offered) or 'none'}"
        raise PassError(f"{kind} '{spec.name}' has no option '{wrong}'", hint=hint)
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
    return replace(spec, anchors=inner, is_nested=bool(spec.anchors))


def render(steps: Iterable[Step]) -> str:
    """The pipeline's text, anchored as MLIR prints it; `build` makes the same steps of it."""
    return f"{MODULE}({_render_nest(list(steps), 0)})"


def _render_nest(steps: Sequence[Step], depth: int) -> str:
    parts: list[str] = []
    for anchor, group in groupby(steps, lambda step: step.anchors[depth : depth + 1]):
        if anchor:
            parts.append(f"{anchor[0]}({_render_nest(list(group), depth + 1)})")
        else:
            parts += [step.text for step in group]
    return ",".join(parts)


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


def _spell(value: ParameterType) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
    return str(value)


def _value(text: str) -> ParameterType:
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
