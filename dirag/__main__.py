"""``python -m dirag`` and the console script."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import NoReturn

#: A full disk or quota, a failing device: no bug, and nothing that more writing would mend.
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main() -> NoReturn:
    """Runs the command line and turns what users can mend into one sentence and an exit status."""
    import click

    from dirag.cli import ReaderGone, cli
    from dirag.errors import DiragError, UsageError

    try:
        status = cli.main(prog_name="dirag", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        _leave(error.exit_code)
    except DiragError as error:
        click.echo(f"dirag: {error}", err=True)
        _leave(2 if isinstance(error, UsageError) else 1)
    except (BrokenPipeError, ReaderGone):
        _leave(0)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        click.echo(f"dirag: cannot write: {error.strerror}", err=True)
        _leave(1)
    except (KeyboardInterrupt, click.Abort):
        _leave(130)
    sys.exit(status if isinstance(status, int) else 0)


def _leave(status: int) -> NoReturn:
    """Ends the process at once.

    A thread may still wait for standard input, which would make the interpreter abort, and an engine may be
    in the middle of a C call that no signal ends.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the reader has gone, or the disk is full: told already
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
