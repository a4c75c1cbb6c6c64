"""``python -m dirag`` and the console script."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line and turns what users can mend into one sentence and an exit status."""
    import click

    from dirag.cli import cli
    from dirag.errors import DiragError, UsageError

    try:
        status = cli.main(prog_name="dirag", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except DiragError as error:
        click.echo(f"dirag: {error}", err=True)
        status = 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:
        # The reader has gone; nothing may be written any more, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (KeyboardInterrupt, click.Abort):
        # An engine may be in the middle of a C call that no signal ends: leave without waiting for it.
        sys.stdout.flush()
        os._exit(130)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
