"""Patterns in upstream's pdl dialect as rules of our driver: checked once, matched, rewritten.

xDSL's interpreter of pdl knows neither ranges nor inferred result types, leaves out the sizes of
operand segments, and does not say why a pattern fails.
"""

from .rule import PdlRule

__all__ = ["PdlRule"]
