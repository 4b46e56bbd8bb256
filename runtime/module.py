"""A graph with its code, driven in NNVM's manner: set inputs, run, get outputs.

m = nnc.runtime.create(graph, lib, nnc.cpu(0))
m.set_input(x=x, y=y)
m.run()
m.get_output(0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index as index_of
from typing import Protocol, SupportsIndex, cast

import numpy as np

from ..core.errors import InputError
from .arrays import Array
from .device import Device
from .executable import Executable
from .inputs import accept, check_known, check_mapping
from .outputs import check_filled


class NamedGraph(Protocol):
    """What is needed of a graph: the names of its ends."""

    @property
    def input_names(self) -> list[str]:
        """In order."""
        ...

    @property
    def output_names(self) -> list[str]:
        """In order."""
        ...


@dataclass(frozen=True)
class CompiledLibrary:
    """The code of a graph; `params` are the inputs whose content is compiled in."""

    executable: Executable
    params: Mapping[str, Array]


class GraphModule:
    """A compiled graph with its inputs' and outputs' present content."""

    def __init__(self, library: CompiledLibrary, device: Device):
        self._executable = library.executable
        self._params = library.params
        self._specs = {spec.name: spec for spec in library.executable.inputs}
        self._inputs: dict[str, Array] = {}
        self._outputs: list[Array] | None = None
        self.device = device

    def set_input(
        self, key: int | str | None = None, value: object = None, /, **named: object
    ) -> None:
        """Give inputs their content: `set_input(x=...)`, or by name or number with a value.

        Raises: InputError: an unknown name, a wrong dtype or shape, or another value for a
            parameter that is compiled in.
        """
        if key is not None:
            named = {**named, self._name(key): value}
        for name, content in named.items():
            if name in self._params:
                self._check_param(name, content)
                continue
            if name not in self._specs:
                check_known("input", [name], [*self._specs, *self._params])
            # The caller may change the array before run().
            self._inputs[name] = np.array(accept(self._specs[name], content))

    def load_params(self, params: bytes | Mapping[str, object]) -> None:
        """Set inputs from a mapping, or from bytes in the safetensors format."""
        if isinstance(params, bytes):
            from safetensors import SafetensorError
            from safetensors.numpy import load

            try:
                params = load(params)
            except SafetensorError as error:
                raise InputError(f"the bytes are not safetensors: {error}") from None
        check_mapping("params", params)
        check_known("input", params, [*self._specs, *self._params])
        for name, content in params.items():
            self.set_input(name, content)

    def run(self, **named: object) -> None:
        """Compute the outputs, after setting the inputs that are given.

        Raises: InputError: an input has no content yet.
        """
        self.set_input(**named)
        self._outputs = list(self._executable(self._inputs).values())

    def get_num_inputs(self) -> int:
        """How many inputs are to be set."""
        return len(self._specs)

    def get_num_outputs(self) -> int:
        """How many outputs there are."""
        return len(self._executable.outputs)

    def get_input(self, key: int | str) -> Array:
        """An input's present content, by name or number.

        Raises: InputError: there is no such input, or it has no content yet.
        """
        name = self._name(key)
        check_known("input", [name], [*self._specs, *self._params])
        found = self._params.get(name, self._inputs.get(name))
        if found is None:
            raise InputError("it has no content yet", where=f"input '{name}'", hint="set_input")
        return found

    def get_output(self, index: int, out: Array | None = None) -> Array:
        """An output after `run`, copied into `out` if that is given.

        Raises: InputError: `run` has not been called, or there is no such output.
        """
        if self._outputs is None:
            raise InputError("the outputs are not computed yet", hint="call run() first")
        index = _position(index, len(self._outputs), "outputs")
        if out is None:
            return self._outputs[index]
        name = self._executable.outputs[index].name
        check_filled(name, out, self._outputs[index].shape, self._outputs[index].dtype)
        out[...] = self._outputs[index]
        return out

    def _name(self, key: int | str) -> str:
        if isinstance(key, str):
            return key
        return list(self._specs)[_position(key, len(self._specs), "inputs")]

    def _check_param(self, name: str, content: object) -> None:
        known = self._params[name]
        if not np.array_equal(np.asarray(content), known, equal_nan=known.dtype.kind in "fc"):
            raise InputError(
                "its content is compiled in and cannot change",
                where=f"input '{name}'",
                hint="build without it in params=, and set it as an input",
            )


def _position(given: object, count: int, what: str) -> int:
    try:
        position = index_of(cast("SupportsIndex", given))
    except TypeError:
        raise InputError(f"expected a number of the {what}, got {given!r}") from None
    if not 0 <= position < count:
        raise InputError(f"there are {count} {what}, got index {position}")
    return position


def create(graph: NamedGraph, lib: CompiledLibrary, device: Device) -> GraphModule:
    """A module to run `graph` with the code that `nnc.build` made of it.

    Raises: InputError: the code was made of another graph, or for another device.
    """
    if not isinstance(lib, CompiledLibrary):  # pyright: ignore[reportUnnecessaryIsInstance]
        hint = "graph, lib, params = nnc.build(...)"
        raise InputError(f"expected the code that nnc.build made, got {lib!r}", hint=hint)
    if not isinstance(device, Device) or device.kind != "cpu":  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"the code is made for cpu, got {device!r}", hint="nnc.cpu(0)")
    known = [spec.name for spec in lib.executable.inputs]
    if set(graph.input_names) - set(lib.params) != set(known):
        raise InputError(
            f"the code's inputs are {', '.join(known)}, the graph's {', '.join(graph.input_names)}"
        )
    return GraphModule(lib, device)
