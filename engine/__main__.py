"""The command line: `python -m engine COMMAND`. It does all that the dashboard does."""

import errno
import io
import os
import sys
from collections.abc import Sequence

from engine.cli.arguments import command, parser
from engine.errors import InputError

WRONG = 2  # exit status for what the user gave wrong
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status, with one sentence on stderr where something the user gave is wrong."""
    _print_anywhere()
    try:
        args = parser().parse_args(arguments)
        return command(args.command)(args)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        at = f" of {error.filename}" if error.filename else ""
        print(f"error: the disk{at} is full; free some space, then run it again", file=sys.stderr)
        return WRONG


def _print_anywhere() -> None:
    """Print a question mark for what the terminal's encoding lacks, such as a dash, rather than fail at the end."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
