"""nn-reduce: make a module smaller while a command keeps failing on it.

    nn-reduce net.nn --test 'nn-opt %s -p my-pass --check-semantics' -o small.nn
    nn-reduce net.nn --test './crashes.sh' --output-matches 'internal error in pass'

Exit status 0, 1 after any error (a module on which the test does not fail, too), 130 if interrupted
before there is anything to keep.
docs/debugging.md shows one at work.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .arguments import INTERRUPTED
from .reduce.flags import Flags, parse_flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run nn-reduce with these arguments (default: the command line's); its exit status."""
    flags = parse_flags(sys.argv[1:] if argv is None else argv)
    try:
        return _run(flags)
    except KeyboardInterrupt:
        if flags.debug:
            raise
        print("nn-reduce: interrupted before the test has failed once", file=sys.stderr)
        return INTERRUPTED


def _run(flags: Flags) -> int:
    from ..core.errors import NncError
    from .reduce.driver import run

    try:
        run(flags)
    except NncError as error:
        if flags.debug:
            raise
        print(f"nn-reduce: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
