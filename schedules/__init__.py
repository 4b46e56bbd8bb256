"""Schedules: the primitives as passes, and how each class of kernel runs on each kind of target."""

from ..core.catalog import lazy

PASSES = lazy(
    __name__,
    {
        # file_stem:Class, in alphabetical order of flags
        "apply-schedules": "apply_schedules:ApplySchedulesPass",
        "schedule-kernels": "schedule_kernels:ScheduleKernelsPass",
    },
)
