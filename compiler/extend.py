"""What users may add, by a call from a plug-in or a script: operators, passes, schedules, targets.

    nnc.register_op(SoftClipOp, meaning=..., definition=..., onnx="com.acme::SoftClip")
    nnc.register_pass(CountPass, after="canonicalize")
    nnc.register_schedule("outer-product", rule)
    nnc.register_target(Target("my-cpu", ...))
    nnc.register_frontend("layers", read)

docs/extending.md shows each. A name that is taken is an error that names both owners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

from ..core import extensions
from ..core.errors import NncError
from ..core.irtypes import is_defined
from ..core.passes import fault
from ..dialects.graph import registry
from ..dialects.graph.base import GraphOp, Pattern
from ..targets import Target

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.passes import ModulePass

    from ..lowering.graph_to_te.site import Lowering
    from ..schedules.library.rules import Rule

Array = Any
VECTOR_BITS = (128, 256, 512)
"""Widths of registers that a target may have."""


def register_op(
    cls: type[GraphOp],
    *,
    meaning: Callable[..., Array | Sequence[Array]],
    definition: Lowering | None = None,
    onnx: str | None = None,
    versions: tuple[int, int | None] = (1, None),
    wide: bool = False,
) -> type[GraphOp]:
    """Add an operator to the `graph` dialect; every tool then treats it as one of nnc's.

    Args:
        cls: its operands, properties, results, fusion class and inference.
        meaning: NumPy's: (op, an argument for each operand of the definition: an array, `None` for
            an absent optional one, a list for a variadic one) -> a result, or a list of them.
        definition: (op, site) -> one te tensor for each result; without, it runs on the host.
        onnx: `domain::OpType`. One of ONNX's own that nnc lacks is named by the class: `ONNX_NAME`.
        versions: first and last version of the domain that has this form; `None`: all later ones.
        wide: whether f16 and bf16 operands reach `meaning` in f32.

    Returns: `cls`.
    Raises: NncError: the name or the ONNX name is taken, or something does not fit.
    """
    _, place = extensions.asking()
    _check_class(cls, GraphOp, place)
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise NncError(f"{cls.__name__} does not define {', '.join(missing)}", where=place)
    _check_operator(cls, place)
    operands = [name for name, _ in cls.get_irdl_definition().operands]
    _check_function(meaning, ("op", *operands), f"the meaning of {cls.name}", place)
    if definition is not None:
        _check_function(definition, ("op", "site"), f"the definition of {cls.name}", place)
    if not cls.name.startswith("graph."):
        raise NncError(f"the operator '{cls.name}' is to be named 'graph.<name>'", where=place)
    name = None if onnx is None else _onnx_name(onnx, versions, place)
    registry.register(
        cls, meaning=_Meaning(cls.name, meaning, wide), definition=definition, onnx=name
    )
    return cls


def _check_operator(cls: type[GraphOp], place: str) -> None:
    """Raises: NncError: it has not been made an op, or its pattern is none."""
    if not is_defined(cls):
        hint = "@irdl_op_definition stands above its class"
        raise NncError(f"{cls.__name__} is no op yet", where=place, hint=hint)
    pattern = cast("object", cls.PATTERN)
    if not isinstance(pattern, Pattern):
        known = ", ".join(f"Pattern.{each.name}" for each in Pattern)
        text = f"the PATTERN of {cls.__name__} is {pattern!r}, expected one of {known}"
        raise NncError(text, where=place)


def _check_class(given: object, base: type, place: str) -> None:
    if not (isinstance(given, type) and issubclass(given, base)):
        raise NncError(f"expected a subclass of {base.__name__}, got {given!r}", where=place)


def _check_function(given: object, parameters: Sequence[str], what: str, place: str) -> None:
    """Raises: NncError: it is no function that can be called with these."""
    expected = f"expected a function of ({', '.join(parameters)}) as {what}"
    if not callable(given):
        raise NncError(f"{expected}, got {given!r}", where=place)
    from inspect import signature

    try:
        taken = signature(given)
    except ValueError:  # some builtins have none
        return
    try:
        taken.bind(*parameters)
    except TypeError:
        name = getattr(given, "__name__", repr(given))
        raise NncError(f"{expected}, got {name}{taken}", where=place) from None


def _check_instance(given: object, kind: type) -> None:
    if not isinstance(given, kind):
        text = f"expected a {kind.__name__}, got {given!r}"
        raise NncError(text, where=extensions.asking()[1])


def _onnx_name(text: str, versions: tuple[int, int | None], place: str) -> registry.OnnxName:
    domain, separator, op_type = text.rpartition("::")
    if not (domain and separator and op_type) or domain == "ai.onnx":
        raise NncError(
            f"expected an ONNX name 'domain::OpType' of a domain of your own, got '{text}'",
            where=place,
            hint="an operator of ONNX itself is named by ONNX_NAME of its class",
        )
    first, last = versions if _is_pair(versions) else (0, 0)
    if first < 1 or (last is not None and last < first):
        raise NncError(f"versions are (first, last) from 1 on, got {versions}", where=place)
    return registry.OnnxName(domain, op_type, versions)


def _is_pair(versions: object) -> bool:
    """Whether it is (first, last), the last one perhaps open."""
    if not isinstance(versions, tuple) or len(cast("tuple[object, ...]", versions)) != 2:
        return False
    first, last = cast("tuple[object, object]", versions)
    return isinstance(first, int) and (last is None or isinstance(last, int))


class _Meaning:
    """A meaning as the registry keeps it; NumPy is imported when it is first asked for."""

    def __init__(self, name: str, function: Callable[..., Any], wide: bool):
        self.name, self.function, self.wide = name, function, wide

    def __call__(self, op: Any, operands: Sequence[Array]) -> Sequence[Array]:
        from ..reference.graph.meaning import check_results, grouped

        results = grouped(self.function, op, operands, wide=self.wide)
        check_results(op, results)
        return results


def register_pass(
    cls: type[ModulePass],
    *,
    phase: str | None = None,
    after: str | None = None,
    before: str | None = None,
) -> type[ModulePass]:
    """Add a pass to the compiler's pipeline, and to what `nn-opt -p` knows.

    Args:
        cls: the pass; its options have defaults.
        phase: `graph`, `fast`, `fuse`, `te`, `nest` or `tiles`: it runs at the end of that.
        after: it runs after this pass, where that runs last in a phase.
        before: it runs before this pass.

    Returns: `cls`.
    Raises: NncError: the name is taken, or there is no such place.
    """
    from xdsl.passes import ModulePass

    from .pipelines import CATALOG, KIND, Placed

    _, place = extensions.asking()
    _check_class(cls, ModulePass, place)
    if reason := fault(cls):
        raise NncError(f"{cls.__name__}: {reason}", where=place)
    given = [text for text in (phase, after, before) if text is not None]
    if wrong := [each for each in cast("list[object]", given) if not isinstance(each, str)]:
        raise NncError(f"expected the name of a phase or a pass, got {wrong[0]!r}", where=place)
    if len(given) != 1:
        raise NncError("register_pass takes one of phase, after and before", where=place)
    placed = Placed(cls, phase, after, before)
    placed.check(place)
    extensions.register(KIND, cls.name, placed, CATALOG)
    return cls


def register_schedule(name: str, rule: Rule) -> Rule:
    """Add a class of kernels to the schedule library; it is asked before the library's own.

    Args:
        name: of the class.
        rule: (site) -> symbols of the computes that it has scheduled; none if the kernel, or this
            compute of it, is of another class. Then it must not have changed anything.

    Returns: `rule`.
    Raises: NncError: the name is taken.
    """
    from ..schedules.library.rules import CLASSES, KIND

    _check_function(rule, ("site",), f"the rule of '{name}'", extensions.asking()[1])
    extensions.register(KIND, name, rule, CLASSES)
    return rule


def register_target(target: Target) -> Target:
    """Add a machine: `--target NAME`, `nnc.compile(..., target=NAME)`.

    Returns: `target`.
    Raises: NncError: the name is taken.
    """
    from ..targets import ALIASES, KIND, TARGETS

    _check_instance(target, Target)
    if target.vector_bits not in VECTOR_BITS:
        expected = ", ".join(map(str, VECTOR_BITS))
        message = f"vector_bits of '{target.name}' is {target.vector_bits}, expected {expected}"
        raise NncError(message, where=extensions.asking()[1])
    for each in fields(target):
        value = getattr(target, each.name)
        if "str" not in str(each.type) and not (isinstance(value, int | float) and value > 0):
            message = f"{each.name} of '{target.name}' is {value!r}, expected a positive number"
            raise NncError(message, where=extensions.asking()[1])
    extensions.register(KIND, target.name, target, {*TARGETS, *ALIASES})
    return target


def register_frontend(
    name: str, read: Callable[[str | PathLike[str] | bytes], ModuleOp]
) -> Callable[[str | PathLike[str] | bytes], ModuleOp]:
    """Add a format of models: files `*.NAME`, and `nn-opt -f NAME`.

    Args:
        name: of the format, and of its files' extension without the dot.
        read: from a path, or a file's bytes, to a module of the graph dialect (or further down).

    Returns: `read`.
    Raises: NncError: the name is taken.
    """
    from ..frontends import FRONTENDS, KIND, TEXT

    _check_function(read, ("source",), f"the front end '{name}'", extensions.asking()[1])
    if str(name).startswith("."):
        hint = f"register_frontend('{name.lstrip('.')}', ...)"
        message = f"the format '{name}' is named with a dot"
        raise NncError(message, where=extensions.asking()[1], hint=hint)
    extensions.register(KIND, name, read, {*FRONTENDS, *TEXT})
    return read
