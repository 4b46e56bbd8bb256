"""A plug-in that takes a name of xDSL's."""

from xdsl.ir import Dialect

DIALECTS = [Dialect("arith", [], [])]
