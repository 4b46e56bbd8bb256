"""A plug-in that cannot be imported."""

VALUE = 1 + undefined_name  # noqa: F821
