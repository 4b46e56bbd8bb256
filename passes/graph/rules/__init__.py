"""Declarative rewrites: the text of an equation is the rule.

    rule("AppliedTwice", "f(f(x)) -> f(x)", f="abs ceil floor relu round sign")
    rule("Square", "x ** 2 -> x * x if keeps_shape(x, result)", uses=[keeps_shape])

Both sides are Python expressions over operators of the graph dialect; syntax.py says what they may
hold. A rule is a `Pattern` of core/rewriting.py, so that the driver dispatches to it, counts it,
and `--explain` says which of its conditions failed. check.py runs its two sides on random inputs.
"""

from .rule import Rule, rule

__all__ = ["Rule", "rule"]
