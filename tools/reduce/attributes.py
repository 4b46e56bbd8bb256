"""Attributes that nothing needs go."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.irdl import IRDLOperation, OptPropertyDef

from ...core.walk import walk
from .extents import infer_again

KEPT = frozenset({"nnc.target"})


class DropAttributes:
    """Attributes that are not part of an op's definition, and properties that may be absent.

    Types follow; the verifier refuses to drop one that something else asks for.
    """

    name = "attributes"

    def sites(self, module: ModuleOp) -> Sequence[tuple[int, str]]:
        return [
            (at, name)
            for at, op in enumerate(walk(module))
            for name in (*op.attributes, *_optional(op))
            if name not in KEPT
        ]

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        wanted = set(sites)
        for at, op in enumerate(list(walk(module))):
            for table in (op.attributes, op.properties):
                for name in [name for name in table if (at, name) in wanted]:
                    del table[name]
        infer_again(module)


def _optional(op: Operation) -> list[str]:
    if not isinstance(op, IRDLOperation):
        return []
    known = op.get_irdl_definition().properties
    return [name for name in op.properties if isinstance(known.get(name), OptPropertyDef)]
