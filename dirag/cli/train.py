"""``dirag train``: adapters, fitted to annotated corpora.

Progress goes to standard error; the figures of the adapter to standard output.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from dirag.cli.options import Names, config_of, config_options_but, folder_option, hand_down
from dirag.training.course import Settings

#: The options of a run that say nothing about training for it.
_OTHER = (
    *("tagger", "adapter", "engine_options", "pool", "retrieval", "samples", "temperature", "min_score"),
    *("base_url", "key_env", "api", "dialect", "timeout", "retries", "record", "cache", "cache_size"),
)
_DEFAULT = Settings()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def train(ctx: click.Context) -> None:
    """Training of adapters; needs pip install 'dirag[train]'.

    \b
    Example:
      dirag train adapter --dataset ncbi-disease -o adapter
    """
    hand_down(ctx)


@train.command()
@click.option(
    "--dataset",
    type=Names(),
    required=True,
    metavar="NAME|PATH,…",
    help="Corpora to learn from: their train splits.",
)
@folder_option("DIR")
@click.option(
    "--base", default="", metavar="NAME|PATH", help="Weights to train on [default: those of --model]."
)
@click.option("--epochs", default=_DEFAULT.epochs, show_default=True, help="Passes over the sentences.")
@click.option("--rate", default=_DEFAULT.rate, show_default=True, help="Highest rate of learning.")
@click.option("--batch", default=_DEFAULT.batch, show_default=True, help="Tokens a step, padding included.")
@click.option("--rank", default=_DEFAULT.rank, show_default=True, help="Rank of the adapter.")
@click.option(
    "--alpha", default=_DEFAULT.alpha, show_default=True, help="Scale of what it adds, times the rank."
)
@click.option("--targets", type=Names(), default=(), help="Layers that it adapts [default: all linear ones].")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default=_DEFAULT.precision,
    show_default=True,
    help="Of the model's weights.",
)
@click.option(
    "--validate", default=_DEFAULT.validate, show_default=True, help="Sentences of devel splits; 0: none."
)
@click.option("--every", default=_DEFAULT.every, show_default=True, help="Epochs between validations.")
@click.option(
    "--patience", default=_DEFAULT.patience, show_default=True, help="Validations without gain that end it."
)
@click.option("--resume", is_flag=True, help="Go on where a run that was stopped or killed was.")
@click.option("--data-dir", metavar="DIR", envvar="DIRAG_DATA", help="Where corpora lie.")
@config_options_but(*_OTHER)
def adapter(dataset: tuple[str, ...], output: Path, **values: Any) -> None:
    """Fit a LoRA adapter of a language model to annotated corpora, for the run that other options describe.

    The model learns to answer the prompts of that run: with 0 to --shots examples, mostly none, with and
    without --concepts lines and, of a corpus with several types, asked for all or some of them. DIR serves
    every engine as --adapter, and tells in its README.md what it was made of. Held-out sentences are tagged
    now and then, and the best adapter is kept. Ctrl-C stops, and --resume goes on to the same adapter.

    \b
    Example:
      dirag train adapter --dataset ncbi-disease,bc5cdr -o adapter --epochs 2
      dirag tag notes.txt --types disease --adapter adapter --shots 0
    """
    from dirag.training import adapter as training
    from dirag.training.recipe import Recipe

    def tell(line: str) -> None:
        click.echo(f"dirag: {line}", err=True)

    config, resume = config_of(values), values.pop("resume")
    recipe = Recipe(
        corpora=dataset,
        config=config,
        base=values.pop("base"),
        data_dir=values.pop("data_dir"),
        settings=Settings(**values),
        command=shlex.join(["dirag", *sys.argv[1:]]),
    )
    try:
        progress = training.train(recipe, output, resume=resume, tell=tell)
    except KeyboardInterrupt:
        tell("stopped; the same command with --resume goes on")
        raise
    if progress is None:
        tell(f"{output} is done already")
        return
    best = progress.best
    click.echo(f"{output}: {progress.steps:,} steps, {progress.tokens:,} tokens in {progress.seconds:,.0f} s")
    if best:
        click.echo(f"after {best.seen:,} lessons, strict F1 on held-out sentences:")
        for name, value in best.f1.items():
            click.echo(f"  {name:<24} {value:.3f}")
