"""nnc: compile, run, look into and time models.

    nnc run model.onnx --input x=x.npy --output out.npz
    nnc inspect model.onnx --shape x=1x3x224x224
    nnc compile model.onnx --emit asm -o model.s
    nnc bench model.onnx --threads 2 --against onnxruntime
    nnc bisect model.onnx --against onnxruntime

Exit status 0, 1 after any error, or 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import BytesIO, TextIOWrapper

from .arguments import INTERRUPTED
from .model.flags import Flags, parse_flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run nnc with these arguments (default: the command line's); its exit status."""
    # A process may be started without them: what would be shown goes nowhere.
    sys.stdout = sys.stdout or TextIOWrapper(BytesIO())
    sys.stderr = sys.stderr or TextIOWrapper(BytesIO())
    flags = parse_flags(sys.argv[1:] if argv is None else argv)
    try:
        return _refusing(flags)
    except KeyboardInterrupt:
        if flags.debug:
            raise
        print("nnc: interrupted", file=sys.stderr)
        return INTERRUPTED


def _refusing(flags: Flags) -> int:
    """The command; what it refuses is a message."""
    from ..core.errors import NncError
    from ..core.extensions import scope
    from .files import check_writable

    try:
        for path in (flags.output, flags.html, flags.svg):
            if path is not None:
                check_writable(path)
        with scope(flags.plugins):
            return _run(flags)
    except NncError as error:
        if flags.debug:
            raise
        print(f"nnc: error: {error}", file=sys.stderr)
        return 1


def _run(flags: Flags) -> int:
    """The command, inside of the scope of its plug-ins."""
    from ..core.errors import NncError
    from ..core.extensions import culprit

    try:
        return flags.command(flags) or 0
    except NncError:
        raise
    except MemoryError as error:
        raise NncError(
            f"not enough memory: {error}" if str(error) else "not enough memory"
        ) from None
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:  # of the system, not of ours: a full disk, a file that went away
        raise NncError(error.strerror or str(error), where=_place(error)) from error
    except Exception as error:
        if flags.debug:
            raise
        what = f"{type(error).__name__}: {error}"
        if (blamed := culprit(error)) is not None:
            owner, place = blamed
            print(f"nnc: internal error: {place}: {what}", file=sys.stderr)
            print(f"  help: it came up in {owner}; --debug shows the traceback", file=sys.stderr)
            return 1
        print(f"nnc: internal error: {what}", file=sys.stderr)
        print("  help: this is a bug in the compiler; --debug shows the traceback", file=sys.stderr)
        return 1


def _place(error: OSError) -> str | None:
    return None if error.filename is None else str(error.filename)


if __name__ == "__main__":
    sys.exit(main())
