"""Tensor expressions scheduled and compiled: `create_schedule`, `lower`, `build`."""

from .build import Function, build
from .lower import lower
from .schedule import Schedule, Stage, create_schedule

__all__ = ["Function", "Schedule", "Stage", "build", "create_schedule", "lower"]
