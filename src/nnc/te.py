"""`from nnc import te`: tensor expressions (frontends/te), their schedules and kernels."""

from .compiler.te import Function as Function
from .compiler.te import Schedule as Schedule
from .compiler.te import Stage as Stage
from .compiler.te import build as build
from .compiler.te import create_schedule as create_schedule
from .compiler.te import lower as lower
from .frontends.te import *  # noqa: F403
