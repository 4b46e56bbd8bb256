"""A compiled program as bytes: plan, object code and constants, to be kept and to be run later.

Addresses are replaced by numbers of symbols, which linking turns into addresses again. The bytes
are the plan's length and the plan (JSON), then object code and small constants, each on a cache
line; large constants are kept by themselves, under the digest of their content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np

from .arrays import LINE, Array, ready
from .codec import Special, decode, encode
from .program import HostStep, LaunchCode, Program, Segment
from .store import Store

LARGE = 16 * 1024
"""Constants of this size are files of their own, which all executables of a model share."""
HostRun = Callable[..., Sequence[Array]]


@dataclass(frozen=True)
class Artifact:
    """A program that is not linked: `entry` and `function` are numbers of `symbols`."""

    program: Program
    symbols: tuple[str, ...]
    objects: tuple[bytes, ...]

    def linked(self, addresses: Sequence[int], keep: object) -> Program:
        """The program with the address of each symbol; `keep` keeps the code in memory."""

        def launch(code: LaunchCode) -> LaunchCode:
            return replace(code, function=addresses[code.function])

        def step(one: Segment | HostStep) -> Segment | HostStep:
            if isinstance(one, HostStep):
                return one
            launches = tuple(launch(code) for code in one.launches)
            return replace(one, entry=addresses[one.entry], launches=launches)

        steps = tuple(step(one) for one in self.program.steps)
        return replace(self.program, steps=steps, keep=keep)


@dataclass(frozen=True)
class _Stored:
    """A constant: in the artifact at `offset`, or in a file of its own under `digest`."""

    slot: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    digest: str


@dataclass(frozen=True)
class _Plan:
    program: Program
    symbols: tuple[str, ...]
    objects: tuple[tuple[int, int], ...]
    constants: tuple[_Stored, ...]


def save(artifact: Artifact, store: Store, key: str, text_of: Callable[[HostRun], str]) -> bool:
    """Keep an artifact; whether it has a form, and there is room for it.

    Args:
        artifact: what to keep.
        store: where.
        key: a digest of all that it was made from.
        text_of: gives the text of a host step's function; raises TypeError if it has none.
    """
    if sum(array.nbytes for array in artifact.program.constants.values()) > store.room:
        return False
    body = _Body()
    objects = tuple((body.add(data), len(data)) for data in artifact.objects)
    constants = [
        _save_constant(slot, array, body, store)
        for slot, array in artifact.program.constants.items()
    ]
    plan = _Plan(artifact.program, artifact.symbols, objects, tuple(constants))
    special = _special(text_of)
    try:
        text = json.dumps(encode(plan, special)).encode()
    except TypeError:
        return False
    head = len(text).to_bytes(8, "little") + text
    store.write("program", key, [head, bytes(-len(head) % LINE), *body.parts])
    store.trim()
    return True


def load(store: Store, key: str, run_of: Callable[[str], HostRun]) -> Artifact | None:
    """The artifact of this key, whose constants are mapped; `None` if it is not there, or broken.

    Args:
        store: where it is kept.
        key: as given to `save`.
        run_of: gives a host step's function from its text.
    """
    content = store.read("program", key)
    try:
        return _decoded(content, store, run_of) if content is not None else None
    except (TypeError, ValueError, LookupError):
        return None


def _decoded(
    content: memoryview, store: Store, run_of: Callable[[str], HostRun]
) -> Artifact | None:
    end = 8 + int.from_bytes(content[:8], "little")
    body = content[end + -end % LINE :]
    plan: _Plan = decode(_Plan, json.loads(bytes(content[8:end])), _special(run_of))
    constants: dict[int, Array] = {}
    for stored in plan.constants:
        array = _load_constant(stored, body, store)
        if array is None:
            return None
        constants[stored.slot] = array
    objects = tuple(bytes(body[start : start + size]) for start, size in plan.objects)
    return Artifact(replace(plan.program, constants=constants), plan.symbols, objects)


class _Body:
    """Bytes after the plan, each part on a cache line."""

    def __init__(self):
        self.parts: list[bytes | memoryview] = []
        self._size = 0

    def add(self, data: bytes | memoryview) -> int:
        """Where the part begins."""
        start = self._size
        self.parts += [data, bytes(-len(data) % LINE)]
        self._size += len(data) + -len(data) % LINE
        return start


def _raw(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _save_constant(slot: int, array: Array, body: _Body, store: Store) -> _Stored:
    raw = _raw(array)
    if array.nbytes < LARGE:
        return _Stored(slot, array.dtype, array.shape, body.add(raw), "")
    found = sha256(raw)
    digest = found.hexdigest()
    store.write("constant", digest, [raw], digest=found.digest())
    store.arrays.setdefault(_typed(digest, array.dtype, array.shape), array)
    return _Stored(slot, array.dtype, array.shape, 0, digest)


def _load_constant(stored: _Stored, body: memoryview, store: Store) -> Array | None:
    if not stored.digest:
        size = prod(stored.shape) * stored.dtype.itemsize
        raw = body[stored.offset : stored.offset + size]
        return ready(np.frombuffer(raw, stored.dtype).reshape(stored.shape))
    typed = _typed(stored.digest, stored.dtype, stored.shape)
    found = store.arrays.get(typed)
    if found is None:
        content = store.read("constant", stored.digest)
        if content is None:
            return None
        found = np.frombuffer(content, stored.dtype).reshape(stored.shape)
        store.arrays[typed] = found
    return found


def _typed(digest: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return f"{digest} {dtype.name} {shape}"


def _special(host: Callable[[Any], Any]) -> Special:
    """The fields that JSON does not hold: constants are written apart, the code is linked anew."""

    def nothing(_: object) -> Mapping[int, Array]:
        return {}

    return {
        (Program, "constants"): nothing,
        (Program, "keep"): lambda _: None,
        (HostStep, "run"): host,
    }
