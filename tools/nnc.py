"""nnc: compile, run, look into and time models.

    nnc run model.onnx --input x=x.npy --output out.npz
    nnc inspect model.onnx --shape x=1x3x224x224
    nnc compile model.onnx --emit asm -o model.s
    nnc bench model.onnx --threads 2 --against onnxruntime

Exit status 0, or 1 after any error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .model.flags import parse_flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run nnc with these arguments (default: the command line's); its exit status."""
    flags = parse_flags(sys.argv[1:] if argv is None else argv)
    from ..core.errors import NncError

    try:
        flags.command(flags)
    except NncError as error:
        if flags.debug:
            raise
        print(f"nnc: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if flags.debug:
            raise
        print(f"nnc: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        print("  help: this is a bug in the compiler; --debug shows the traceback", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
