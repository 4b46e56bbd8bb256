"""`import nnc.symbol as sym`: networks written in Python (frontends/symbol)."""

from .frontends.symbol import *  # noqa: F403
from .frontends.symbol import __dir__ as __dir__
from .frontends.symbol import __getattr__ as __getattr__
