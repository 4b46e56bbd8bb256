"""poly: polynomials of a tensor. What xDSL and nnc find by name; nothing is imported before."""

from xdsl.universe import Universe

from nnc.core.catalog import lazy

UNIVERSE = Universe(
    all_dialects=lazy(__name__, {"poly": "poly:Poly"}),
    all_passes=lazy(__name__, {"convert-poly-to-graph": "convert:ConvertPolyToGraphPass"}),
)
