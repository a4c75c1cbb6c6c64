"""The command line: a click group that imports a command only when it is asked for."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from dirag.config import options as known_options  # dirag.cli.options would take the name `options` here
from dirag.config.settings_file import find_file, read_file
from dirag.errors import unknown

COMMANDS = {
    "tag": ("dirag.cli.tag:tag", "Tag text: files, folders, standard input."),
    "eval": ("dirag.cli.eval:evaluate", "Tag a gold corpus and score the result."),
    "compare": ("dirag.cli.compare:compare", "Compare two runs over the same gold corpus."),
    "report": ("dirag.cli.report:report", "Show runs of eval as a table, and as a page for a browser."),
    "prompt": ("dirag.cli.prompt:prompt", "Print the exact prompt for a text; call no model."),
    "kb": ("dirag.cli.kb:kb", "Build and search knowledge bases of vocabularies."),
    "examples": ("dirag.cli.examples:examples", "Build and search pools of in-context examples."),
    "train": ("dirag.cli.train:train", "Fit adapters to annotated corpora, or to labels of an LLM."),
    "models": ("dirag.cli.models:models", "Weights and vocabularies: known, fetched, where."),
    "config": ("dirag.cli.config:config", "Print the settings in force, and from where."),
}


class ReaderGone(Exception):
    """The reader of the output has closed its pipe, as in ``| head -1``."""


class LazyGroup(click.Group):
    """Commands by name; ``--help`` needs none of their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; a closed pipe raises ReaderGone, where click would report a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])


def _version(ctx: click.Context, option: click.Parameter, requested: bool) -> None:
    # click.version_option ends in a traceback in a checkout that is not installed.
    if requested and not ctx.resilient_parsing:
        from dirag.files import fingerprint

        click.echo(f"dirag, version {fingerprint.version()}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings file [default: the nearest dirag.toml upward].",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context, config_file: Path | None) -> None:
    """Biomedical named-entity recognition with large language models.

    \b
    dirag tag notes.txt
    dirag eval --dataset ncbi-disease --limit 100
    echo '{"text": "She has asthma."}' | dirag tag - --types disease
    """
    path = config_file or find_file(Path.cwd())
    settings = read_file(path, known=list(known_options())) if path else {}
    ctx.obj = path
    ctx.default_map = {name: dict(settings) for name in COMMANDS}
