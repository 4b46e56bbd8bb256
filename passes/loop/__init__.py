"""Passes of the loop level."""
