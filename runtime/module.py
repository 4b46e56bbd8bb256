"""A graph with its code, driven in NNVM's manner: set inputs, run, get outputs.

m = nnc.runtime.create(graph, lib, nnc.cpu(0))
m.set_input(x=x, y=y)
m.run()
m.get_output(0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..core.errors import InputError
from .arrays import Array
from .device import Device
from .executable import Executable
from .inputs import accept, check_names, check_shape


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
                known = [*self._specs, *self._params]
                check_names(dict.fromkeys([*known, name]), known)
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
        self.set_input(**params)

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
        if not 0 <= index < len(self._outputs):
            raise InputError(f"there are {len(self._outputs)} outputs, got index {index}")
        if out is None:
            return self._outputs[index]
        check_shape(f"output {index}", out.shape, self._outputs[index].shape)
        out[...] = self._outputs[index]
        return out

    def _name(self, key: int | str) -> str:
        if isinstance(key, str):
            return key
        if not 0 <= key < len(self._specs):
            raise InputError(f"there are {len(self._specs)} inputs, got index {key}")
        return list(self._specs)[key]

    def _check_param(self, name: str, content: object) -> None:
        known = self._params[name]
        if not np.array_equal(np.asarray(content), known, equal_nan=known.dtype.kind in "fc"):
            raise InputError(
                "its content is compiled in and cannot change",
                where=f"input '{name}'",
                hint="build without it in params=, and set it as an input",
            )


def create(graph: NamedGraph, lib: CompiledLibrary, device: Device) -> GraphModule:
    """A module to run `graph` with the code that `nnc.build` made of it.

    Raises: InputError: the code was made of another graph, or for another device.
    """
    if device.kind != "cpu":
        raise InputError(f"the code is made for cpu, got {device}")
    known = [spec.name for spec in lib.executable.inputs]
    if set(graph.input_names) - set(lib.params) != set(known):
        raise InputError(
            f"the code's inputs are {', '.join(known)}, the graph's {', '.join(graph.input_names)}"
        )
    return GraphModule(lib, device)
