"""Measuring systems against each other, and showing what came out."""
