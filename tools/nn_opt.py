"""nn-opt: read IR, run passes over it, print it. IR goes to stdout, everything else to stderr.

    nn-opt net.nn -p canonicalize,cse,fuse
    nn-opt net.nn --pass-pipeline='builtin.module(func.func(cse,dce))' --print-ir-after-all

Exit status 0, or 1 after any error. docs/nn-opt.md has every flag.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from .arguments import INTERRUPTED
from .opt.flags import parse_flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run nn-opt with these arguments (default: the command line's); its exit status."""
    flags = parse_flags(sys.argv[1:] if argv is None else argv)
    was_enabled = gc.isenabled()
    gc.disable()  # a third of the time that goes into making and cloning IR
    try:
        from .opt.driver import run  # xDSL is imported only where there is IR to read

        return run(flags)
    except BrokenPipeError:
        # Whoever read our output has seen enough: `nn-opt ... | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        if was_enabled:
            gc.enable()


if __name__ == "__main__":
    sys.exit(main())
