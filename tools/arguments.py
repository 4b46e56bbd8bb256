"""What the command lines of our tools share: numbers, errors, and exit statuses."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED = 130
"""The exit status after Ctrl-C: that of a shell's command ended by SIGINT."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors end with status 1, as all of our tools' do."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: error: {message}\n")


def whole(least: int) -> Callable[[str], int]:
    """The type of a whole number of at least `least`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= least):
            message = f"expected a number of at least {least}, got '{text}'"
            raise argparse.ArgumentTypeError(message)
        return int(text)

    return read


def finite(what: str, *, zero: bool) -> Callable[[str], float]:
    """The type of a number from 0, or beyond it, below infinity; `what` is asked for."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not (0.0 < value < float("inf") or (zero and value == 0.0)):
            raise argparse.ArgumentTypeError(f"expected {what}, got '{text}'")
        return value

    return read
