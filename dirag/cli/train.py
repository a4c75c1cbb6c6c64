"""``dirag train``: training data from tagged text, a quality score, and models fitted to annotated corpora.

Progress goes to standard error, figures to standard output.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dirag.cli.options import (
    Names,
    config_of,
    data_dir_option,
    encoder_option,
    hand_down,
    pooling_option,
    some_options,
    training_options,
)
from dirag.cli.quality import quality_filter, quality_options
from dirag.training.adapter.settings import AdapterSettings
from dirag.training.device import PRECISIONS
from dirag.training.token_classifier.settings import ClassifierSettings
from dirag.training.trainer import Settings

if TYPE_CHECKING:
    from dirag.data import Document
    from dirag.training.adapter.spec import TrainingSpec
    from dirag.training.trainer import Progress

F = TypeVar("F", bound=Callable[..., Any])

_ADAPTER, _CLASSIFIER = AdapterSettings(), ClassifierSettings()
_SHARE = click.FloatRange(0, 1)
_POSITIVE = click.FloatRange(min=0, min_open=True)
_COUNT = click.IntRange(min=1)
#: The numbers of every training: name, kind and help of each.
_LEARNING = (
    ("epochs", _POSITIVE, "Passes over the training examples."),
    ("rate", _POSITIVE, "Highest learning rate."),
    ("batch", _COUNT, "Tokens a step, padding included."),
)
_VALIDATING = (
    ("validate", click.IntRange(min=0), "Sentences of devel splits to tag now and then; 0: none."),
    ("every", _POSITIVE, "Epochs between two validations."),
    ("patience", _COUNT, "Validations without gain that end it."),
)
#: The options of a run that bear on the labels and the vectors of a quality score.
_LABELLING = (
    *("backend", "model", "engine_options", "base_url", "key_env", "api", "dialect", "timeout", "retries"),
    *("encoder", "pooling", "prompt", "context", "parallel", "threads", "record", "cache", "cache_size"),
    *("seed", "offline"),
)

#: The options of a run that bear on what the ensemble's witnesses say.
_DECIDING = (
    *("map", "backend", "model", "adapter", "kb"),
    *("threads", "parallel", "cache", "cache_size", "seed", "offline"),
)


def _numbers(settings: Settings, *numbers: tuple[str, click.ParamType[Any], str]) -> Callable[[F], F]:
    """Makes the flags of numbers in settings: name, kind and help of each."""

    def add(command: F) -> F:
        for name, kind, text in reversed(numbers):
            flag = click.option(
                f"--{name}", type=kind, default=getattr(settings, name), show_default=True, help=text
            )
            command = flag(command)
        return command

    return add


def _corpora(command: F) -> F:
    """Adds the flags that say what is learnt from, and where it goes."""
    for added in (
        data_dir_option,
        click.option("--resume", is_flag=True, help="Go on where a run that was stopped or killed was."),
        click.option(
            "--tests",
            type=Names(),
            default=(),
            metavar="NAME|PATH,…",
            help="Corpora beside these whose test splits are left out too.",
        ),
        click.option(
            "-o",
            "--out",
            "output",
            required=True,
            type=click.Path(file_okay=False, path_type=Path),
            metavar="DIR",
            help="Folder to make.",
        ),
        click.option(
            "--dataset",
            type=Names(),
            required=True,
            metavar="NAME|PATH[:TIMES],…",
            help="Corpora to learn from: their train splits, each perhaps several times an epoch.",
        ),
    ):
        command = added(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def train(ctx: click.Context) -> None:
    """Training of adapters and token classifiers, which needs pip install 'dirag[train]', and quality scores.

    \b
    Example:
      dirag train adapter --dataset ncbi-disease -o adapter
    """
    hand_down(ctx)


@train.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write, as JSONL.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Score that each mention of a sentence has at least.",
)
@click.option("--linked", is_flag=True, help="Each mention has a concept.")
@click.option(
    "--gold",
    default="",
    metavar="NAME|PATH",
    help="Corpus whose train split was tagged: of types that it annotates its own mentions are taken.",
)
@data_dir_option
@quality_options
@encoder_option("Sentence encoder of the --quality score: known name, path, or hash (no model).")
@pooling_option()
@click.option("--offline", is_flag=True, envvar="DIRAG_OFFLINE", help="Never fetch weights or a corpus.")
def silver(paths: tuple[str, ...], output: Path, min_score: float, linked: bool, **values: Any) -> None:
    """Select, of what dirag tag has written, the sentences of which it was sure, to train on.

    A sentence stays or goes as a whole. What goes is counted on standard error. A corpus that annotates
    some types is completed with others by --gold. --quality leaves out sentences by their paragraphs.

    \b
    Example:
      dirag tag abstracts/ --types disease --samples 5 -o tagged.jsonl
      dirag train silver tagged.jsonl -o silver.jsonl
      dirag train adapter --dataset silver.jsonl -o student
      dirag tag others/ --types disease --adapter student -o others.jsonl
    """
    from dirag import formats
    from dirag.cli.output import refuse_overwrite
    from dirag.corpora import datasets
    from dirag.encoders.opening import open_encoder
    from dirag.training.adapter import silver as selection

    refuse_overwrite(output, paths)
    left_out: Counter[str] = Counter()
    documents, offline = formats.read(paths), values["offline"]
    quality = quality_filter(
        values, lambda: open_encoder(values["encoder"], offline=offline, pooling=values["pooling"])
    )
    if gold := values["gold"]:
        corpus = datasets.load(gold, split="train", data_dir=values["data_dir"], offline=offline)
        documents = selection.completed(documents, corpus.documents, corpus.types, left_out)
    sentences = selection.sentences(documents, left_out, min_score=min_score, linked=linked, quality=quality)
    written, mentions = _write(sentences, output)
    reasons = "".join(f"; {reason} {count:,}" for reason, count in left_out.most_common())
    click.echo(f"dirag: {written:,} sentences with {mentions:,} mentions{reasons}", err=True)


def _write(sentences: Iterable[Document], output: Path) -> tuple[int, int]:
    """Writes sentences as JSONL; returns their number, and that of their mentions."""
    from dirag.cli.output import writing
    from dirag.data import Result
    from dirag.formats import jsonl

    written = mentions = 0
    with writing(output), output.open("wb") as out:
        for sentence in sentences:
            out.write(jsonl.dumps(Result(sentence, sentence.entities)))
            written, mentions = written + 1, mentions + len(sentence.entities)
    return written, mentions


@train.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to make.",
)
@click.option(
    "--sample", type=_COUNT, default=500, show_default=True, help="Paragraphs that the engine labels."
)
@some_options(*_LABELLING)
def quality(paths: tuple[str, ...], output: Path, sample: int, **values: Any) -> None:
    """Train a score of paragraphs: kind of text, domain, and usefulness from 1 to 5.

    The engine labels a sample, and a linear model over sentence vectors learns to say the same of any
    paragraph. How well it foretells labels of documents that it has not seen is printed; whether the
    labels are right depends on the engine alone, and the default one is too small for it. DIR holds no
    text; it serves as --quality, with the same --encoder.

    \b
    Example:
      dirag train quality notes/ -o score --backend openai --base-url http://127.0.0.1:8000
      dirag examples build notes.jsonl -o pool --quality score --min-quality 3.5
    """
    from dirag.training.quality.training import QualitySpec
    from dirag.training.quality.training import train as train_score

    values["adapter"] = "none"  # that of the default model has learnt to name entities, and nothing else
    command = _command_line()
    spec = QualitySpec(paths, config_of(values), sample, command)
    for line in train_score(spec, output, notify=_notify).lines():
        click.echo(line)


@train.command()
@_corpora
@click.option(
    "--base", default="", metavar="NAME|PATH", help="Weights to train on [default: those of --model]."
)
@click.option("--start", default="", metavar="DIR", help="Adapter to begin with [default: a new one].")
@_numbers(
    _ADAPTER,
    *_LEARNING,
    ("rank", _COUNT, "Rank of the adapter."),
    ("alpha", _POSITIVE, "Scale of what it adds, times the rank."),
)
@click.option("--targets", type=Names(), default=(), help="Layers that it adapts [default: all linear ones].")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=_ADAPTER.precision,
    show_default=True,
    help="Of the model's weights; auto is bfloat16 where the processor has it.",
)
@_numbers(_ADAPTER, *_VALIDATING)
@training_options
def adapter(dataset: tuple[str, ...], output: Path, **values: Any) -> None:
    """Fit a LoRA adapter of a language model to annotated corpora, for the run that other options describe.

    The model learns to answer the prompts of that run: with 0 to --shots examples, mostly none, with and
    without --concepts lines and, of a corpus with several types, asked for all or some of them. DIR serves
    every engine as --adapter; its README.md records what it was made of, its settings.toml for which
    runs it is. Held-out sentences are tagged now and then, and the best adapter is kept. Ctrl-C stops,
    and --resume goes on to the same adapter.

    \b
    Example:
      dirag train adapter --dataset ncbi-disease,bc5cdr -o adapter --epochs 2
      dirag tag notes.txt --types disease --adapter adapter
    """
    from dirag.training.adapter import adapter as training

    values["adapter"] = "none"  # or the default one's settings would decide the prompts that are learnt
    resume = values.pop("resume")
    spec = _spec(dataset, values)
    _run(output, lambda: training.train(spec, output, resume=resume, notify=_notify))


@train.command("token-classifier")
@_corpora
@_numbers(
    _CLASSIFIER,
    *_LEARNING,
    ("decay", click.FloatRange(min=0), "Weight decay."),
    ("masked", _SHARE, "Share of pieces that are hidden."),
    ("replaced", _SHARE, "Share of mentions in whose place another one of their type stands."),
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=_CLASSIFIER.precision,
    show_default=True,
    help="Of the computation; auto is bfloat16 where the processor has it.",
)
@click.option(
    "--separate",
    type=Names(),
    default=(),
    metavar="NAME,…",
    help="Corpora whose annotators mean something else by the types: labels of their own.",
)
@_numbers(_CLASSIFIER, *_VALIDATING)
@some_options("types", "map", "encoder", "threads", "seed", "offline")
def token_classifier(dataset: tuple[str, ...], output: Path, **values: Any) -> None:
    """Train an encoder with a layer of labels on annotated corpora.

    A type that a corpus does not annotate gives no loss in its sentences. DIR serves as --tagger
    token-classifier --model DIR and is a folder of transformers; its README.md records what it was made
    of. Held-out sentences are tagged now and then, the best model is kept, and its scores are calibrated on
    them. Ctrl-C stops, and --resume goes on to the same weights.

    \b
    Example:
      dirag train token-classifier --dataset ncbi-disease,bc5cdr -o classifier
      dirag tag notes.txt --tagger token-classifier --model classifier
    """
    from dirag.training.token_classifier import classifier as training
    from dirag.training.token_classifier.spec import ClassifierSpec

    resume = values.pop("resume")
    spec = ClassifierSpec(
        corpora=dataset,
        config=config_of(values),
        separate=values.pop("separate"),
        tests=values.pop("tests"),
        data_dir=values.pop("data_dir"),
        settings=ClassifierSettings(**values),
        command=_command_line(),
    )
    _run(output, lambda: training.train(spec, output, resume=resume, notify=_notify))


@train.command()
@click.option(
    "--dataset",
    type=Names(),
    required=True,
    metavar="NAME|PATH,…",
    help="Corpora to whose development splits the weights are fitted.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write: decision.json in the folder of the adapter or classifier serves with it.",
)
@click.option("--sentences", type=_COUNT, default=900, show_default=True, help="Sentences of each, at most.")
@data_dir_option
@some_options(*_DECIDING)
def decision(dataset: tuple[str, ...], output: Path, **values: Any) -> None:
    """Fit the weights by which --tagger ensemble decides, for an engine with its adapter.

    The token classifier, the known names and, where these leave doubt, the LLM tag sentences of
    development splits; a logistic regression learns from them how probable each span is a mention. Figures
    are by cross-validation. With --adapter none the weights are for the token classifier --model alone.

    \b
    Example:
      dirag train decision --dataset ncbi-disease,bc5cdr --adapter adapter -o adapter/decision.json
      dirag train decision --dataset jnlpba --adapter none --model classifier -o classifier/decision.json
    """
    from dirag.training.decision.training import DecisionSpec
    from dirag.training.decision.training import train as fit

    sentences, data_dir = values.pop("sentences"), values.pop("data_dir")
    spec = DecisionSpec(
        corpora=dataset,
        config=config_of(values),
        sentences=sentences,
        data_dir=data_dir,
        command=_command_line(),
    )
    for line in fit(spec, output, notify=_notify).lines():
        click.echo(line)


def _run(output: Path, training: Callable[[], Progress | None]) -> None:
    """Runs a training and prints its figures."""
    try:
        progress = training()
    except KeyboardInterrupt:
        _notify("stopped; the same command with --resume goes on")
        raise
    if progress is None:
        _notify(f"{output} is done already")
    else:
        _print_figures(output, progress)


def _command_line() -> str:
    """Returns the command as it was typed, for cards."""
    return shlex.join(["dirag", *sys.argv[1:]])


def _notify(line: str) -> None:
    click.echo(f"dirag: {line}", err=True)


def _spec(corpora: tuple[str, ...], values: dict[str, Any]) -> TrainingSpec:
    """Makes a spec of the values of all options, which it takes out: what remains is ``Settings``."""
    from dirag.training.adapter.spec import TrainingSpec

    return TrainingSpec(
        corpora=corpora,
        config=config_of(values),
        base=values.pop("base"),
        start=values.pop("start"),
        tests=values.pop("tests"),
        data_dir=values.pop("data_dir"),
        settings=AdapterSettings(**values),
        command=_command_line(),
    )


def _print_figures(output: Path, progress: Progress) -> None:
    steps, tokens, seconds = progress.steps, progress.tokens, progress.seconds
    click.echo(f"{output}: {steps:,} steps, {tokens:,} tokens in {seconds:,.0f} s")
    if best := progress.best:
        click.echo(f"after {best.seen:,} training examples, strict F1 on held-out sentences:")
        for name, f1 in best.f1.items():
            click.echo(f"  {name:<24} {f1:.3f}")
