"""``dirag prompt``: the exact prompt for a text, and its constraint; calls no model."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from dirag.cli.options import config_of, config_options
from dirag.errors import InputError, PromptError


@click.command(short_help="Print the exact prompt for a text; call no model.")
@click.argument("text", metavar="TEXT|-")
@config_options
@click.option("--grammar", is_flag=True, help="Print the constraint too, as llama.cpp reads it.")
def prompt(text: str, grammar: bool, **values: Any) -> None:
    """Print what the model would be sent for TEXT (- reads it from standard input), sentence by sentence.

    Without an engine tokens are not counted: no example is left out here to fit the context. With
    --retrieval llm the first prompt asks for candidates, and the second one lacks their concepts.

    \b
    dirag prompt "She has asthma and takes salbutamol." --types disease,chemical --shots 3
    dirag prompt - --grammar < notes.txt
    """
    from dirag.assembly import sources, tagging
    from dirag.prompting.augmentation import Augmenter
    from dirag.text.segment import segments

    config = config_of(values)
    types = sources.types_of(config)
    examples = sources.pool(config).restricted(types)
    # Known names are weighed after an answer, and there is none here.
    base = sources.knowledge_base(config) if sources.reads_base(replace(config, lexicon=False)) else None
    language = sources.language(base)
    given = _standard_input() if text == "-" else text
    texts = [segment.text for segment in segments(given, language=language)]
    index = base.evidence_for(types) if base else None
    selector = tagging.selector(config, examples, index, language=language)
    augmenter = Augmenter(selector, config.shots, tagging.retriever(config, types, base))
    builder = tagging.builder(config, types, context=sys.maxsize, count=len, language=language)
    candidates = tagging.candidates(config, builder, language)
    for content in augmenter.augment(texts, concepts=candidates is None):
        for round_builder in (candidates, builder) if candidates else (builder,):
            built, issues = round_builder.build(
                content.text, examples=content.examples, concepts=content.concepts
            )
            if built is None:
                raise PromptError(issues[0].detail)
            click.echo(built.text)
            if grammar and built.constraint:
                click.echo(f"\n# constraint\n{built.constraint.gbnf()}")
            click.echo("\n" + "─" * 40)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"standard input: byte {error.start} is not valid UTF-8") from None
