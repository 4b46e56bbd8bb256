"""The named combiners: `sum`, `prod`, `max`, `min`, `all`, `any`."""

from .reductions import Combiner, Logical

sum = Combiner("sum", "sum")
prod = Combiner("prod", "prod")
max = Combiner("max", "max", "or")
min = Combiner("min", "min", "and")
all = Logical("all", "and")
any = Logical("any", "or")
