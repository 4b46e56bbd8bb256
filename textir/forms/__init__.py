"""Structured forms, a file a dialect: how each is built from its node, and how it is printed."""
