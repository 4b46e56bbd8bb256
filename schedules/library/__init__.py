"""The schedule library: how each class of kernel runs on a CPU, by structure and target alone.

`schedule_kernel` edits a canonical nest and returns what it did as a `sched.schedule`: the log can
be printed, changed and replayed. A class is recognised by its computes (a sum of products, another
reduction, elementwise), never by an operator's or a model's name.
"""

from .kernel import schedule_kernel

__all__ = ["schedule_kernel"]
