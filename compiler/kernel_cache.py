"""The disk cache's kernels: object code under the digest of all that it was made from.

That is a kernel's canonical text (names and locations left out, weights are arguments) with its
schedule, the target, the numerics, and whatever makes them into code: this compiler's sources,
plug-ins, the packages that it calls. So a model that shares kernels with another one, or with
itself before it was changed, compiles only what is new.

    key | length of the description | description (JSON) | object code
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from xdsl.ir import Attribute
from xdsl.utils.exceptions import ParseError

from ..core import extensions
from ..dialects.loop import BufferType
from ..lowering.program import KernelCode
from ..runtime.codec import Special, decode, encode
from ..runtime.store import Store
from .caching import fingerprint
from .options import Options

if TYPE_CHECKING:
    from xdsl.context import Context

KIND = "kernel"
"""The folder of the store."""


@dataclass(frozen=True)
class KernelObject:
    """A compiled kernel.

    Attributes:
        symbol: the kernel's name in the object code.
        code: what its callers need to know.
        object: object code of this kernel alone.
    """

    symbol: str
    code: KernelCode
    object: bytes


@dataclass(frozen=True)
class _Description:
    symbol: str
    code: KernelCode


class KernelCache:
    """The kernels of a store, for given options.

    Args:
        store: where they are kept.
        options: what they are compiled for; only target and numerics count.
        users: the digest of what users have added to the compiler.
    """

    def __init__(self, store: Store, options: Options, users: str):
        self._store = store
        made_by = [fingerprint(), users, asdict(options.target), options.numerics]
        self._made_by = json.dumps(made_by, sort_keys=True)

    @staticmethod
    def of(store: Store | None, options: Options) -> KernelCache | None:
        """The kernels of a store; `None` without one, or where users' additions have no digest."""
        users = extensions.fingerprint()
        return (
            KernelCache(store, options, users) if store is not None and users is not None else None
        )

    def load(self, kernel: str, types: Sequence[Attribute]) -> KernelObject | None:
        """The kernel of this digest (`keys.py`); `None` if it is not there, or broken.

        Args:
            kernel: the digest.
            types: of its arguments and results as its callers see them.
        """
        key = self._key(kernel)
        content = self._store.read(KIND, key)
        if content is None:
            return None
        start = len(key) + 8
        end = start + int.from_bytes(content[len(key) : start], "little")
        try:
            found: _Description = decode(
                _Description, json.loads(bytes(content[start:end])), {_ARGS: self._read_types}
            )
        except (TypeError, ValueError, LookupError, ParseError):
            return None
        if bytes(content[: len(key)]) != key.encode() or not _fits(found.code, types):
            return None
        return KernelObject(found.symbol, found.code, bytes(content[end:]))

    def save(self, kernel: str, made: KernelObject) -> None:
        """Keep a kernel under its digest."""
        key = self._key(kernel)
        description = _Description(made.symbol, made.code)
        text = json.dumps(encode(description, _WRITTEN)).encode()
        head = key.encode() + len(text).to_bytes(8, "little")
        self._store.write(KIND, key, [head, text, made.object], replace=True)

    def trim(self) -> None:
        """Keep the store within its limit."""
        self._store.trim()

    def _key(self, kernel: str) -> str:
        return sha256(f"{kernel}\n{self._made_by}".encode()).hexdigest()

    @cached_property
    def _context(self) -> Context:
        from ..dialects import context

        return context()

    def _read_types(self, texts: Sequence[object]) -> tuple[BufferType, ...]:
        from xdsl.parser import Parser

        types = [Parser(self._context, str(text)).parse_attribute() for text in texts]
        if not all(isinstance(each, BufferType) for each in types):
            raise TypeError("an argument of a kernel is no buffer")
        return tuple(cast("list[BufferType]", types))


_ARGS = (KernelCode, "args")
_WRITTEN: Special = {_ARGS: lambda types: [str(each) for each in types]}


def _fits(code: KernelCode, types: Sequence[Attribute]) -> bool:
    """Whether buffers have the extents and elements of the types of a kernel, wherever they lie."""
    from ..core.irtypes import tensor_element, tensor_shape

    def described(type_: Attribute) -> tuple[tuple[int, ...], Attribute]:
        if isinstance(type_, BufferType):
            return type_.extents, type_.element_type
        return tensor_shape(type_), tensor_element(type_)

    return [described(each) for each in code.args] == [described(each) for each in types]
