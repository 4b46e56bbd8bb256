"""Runs what the compiler made: programs, arrays, threads. Knows no IR."""
