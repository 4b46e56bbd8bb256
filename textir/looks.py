"""How a module is written: what `print_module` and the flags of nn-opt may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How a module is written. As it is by default, it can be read again.

    Attributes:
        generic: MLIR's generic form, which `mlir-opt` reads.
        properties: written as such in the generic form; else among the attributes.
        locations: a `loc(...)` behind every op and argument.
        pretty_locations: for people: `net.nn:3:5` instead.
        elide: dense literals of more elements are left out.
        elide_strings: dense literals that take more characters in hexadecimal are left out.
        hex_from: dense literals of more elements are written in hexadecimal; -1: none.
        node_names: values are called as the model's node that gives them.
        unique_names: no name stands for two values, in different functions neither.
        users: comments say where each value is used.
        skip_regions: `{...}` for every region but the module's own.
    """

    generic: bool = False
    properties: bool = True
    locations: bool = False
    pretty_locations: bool = False
    elide: int | None = None
    elide_strings: int | None = None
    hex_from: int | None = None
    node_names: bool = False
    unique_names: bool = False
    users: bool = False
    skip_regions: bool = False
