"""The laws of ``Backend``, as functions that the tests of each engine call with an open one."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, update_wrapper
from itertools import islice
from typing import TypeAlias

import pytest

from dirag.constraint import Builder, Constraint
from dirag.data import Completion, Prompt, Usage
from dirag.errors import BackendError
from dirag.protocols import Backend

EXAMPLES = "Text: Flu and asthma.\nDiseases: Flu; asthma\n\nText: No findings.\nDiseases: none\n\n"
Ranked: TypeAlias = Sequence[tuple[str, float]]

TEXTS = (
    "Ataxia was seen in two patients.",
    "β-thalassemia, naïve – 漢字 😀 and e\u0301.",
    'BRCA1 (breast cancer) [sic]; "colon cancer" \\ 5\'-UTR',
    "A\ttab, a NUL \x00, and CRLF\r\nin one sentence about gout.",
)
PROMPTS = tuple(Prompt(f"{EXAMPLES}Text: {text}\nDiseases:", ("\n",), 16) for text in TEXTS)


def one(backend: Backend, prompt: Prompt) -> Completion:
    (completion,) = backend.generate([prompt])
    return completion


def said(completion: Completion) -> Completion:
    """A completion without what may differ between two equal answers: how it was counted."""
    return replace(completion, usage=Usage())


def alike(first: Completion, second: Completion, slack: float = 0.0) -> bool:
    """Whether two completions say the same; their log-probabilities may differ by ``slack``.

    Where there is slack, likely tokens may trade places, for engines whose sums depend on what else is in
    work; the text, its parting into tokens and its end may not differ.
    """
    if not slack:
        return said(first) == said(second)
    pairs = list(zip(first.tokens, second.tokens, strict=False))
    return (
        [first.text, first.finish, first.detail] == [second.text, second.finish, second.detail]
        and [token.text for token in first.tokens] == [token.text for token in second.tokens]
        and all(close([(a.text, a.logprob)], [(b.text, b.logprob)], slack) for a, b in pairs)
        and all(close(a.top, b.top, slack) for a, b in pairs)
    )


def close(first: Ranked, second: Ranked, slack: float) -> bool:
    """Whether likely tokens are the same, or with slack as likely."""
    if not slack:
        return first == second
    return [p for _, p in first] == pytest.approx([p for _, p in second], abs=slack)


def all_alike(first: Iterable[Completion], second: Iterable[Completion], slack: float) -> bool:
    return all(alike(a, b, slack) for a, b in zip(first, second, strict=True))


def choice(*answers: str) -> Constraint:
    """The constraint that admits these answers."""
    builder = Builder()
    end = builder.state(final=True)
    for answer in answers:
        builder.edge(builder.body, answer, end)
    return builder.build()


def keeps_order(backend: Backend, slack: float = 0.0) -> None:
    """All at once, one by one, reversed: each prompt has its one completion, and always the same."""
    alone = [said(one(backend, prompt)) for prompt in PROMPTS]
    assert all(completion.finish != "failed" for completion in alone)
    assert len({completion.text for completion in alone}) > 1
    assert all_alike(backend.generate(PROMPTS), alone, slack)
    assert all_alike(backend.generate(reversed(PROMPTS)), alone[::-1], slack)
    assert list(backend.generate([])) == []


def answers_each_prompt(backend: Backend) -> None:
    """Answers that only one prompt may give show that none changes places, however many are in work."""
    answers = [f"number {i}" * (1 + i % 3) for i in range(10)]
    work = [replace(PROMPTS[i % 4], max_tokens=40, constraint=choice(a)) for i, a in enumerate(answers)]
    assert [completion.text.strip() for completion in backend.generate(work)] == answers


def is_lazy(backend: Backend) -> None:
    """An endless stream of prompts gives its first completions, and the rest is never read."""
    read = 0

    def endless() -> Iterator[Prompt]:
        nonlocal read
        while True:
            read += 1
            yield Prompt("Once", max_tokens=1)

    assert len(list(islice(backend.generate(endless()), 2))) == 2
    assert read < 100


def reports_length(backend: Backend) -> None:
    completion = one(backend, Prompt("One, two, three, four,", max_tokens=4))
    assert completion.finish == "length"
    assert completion.usage.completion == 4
    assert completion.text


def hides_stop_strings(backend: Backend) -> None:
    whole = one(backend, Prompt("One, two, three, four,", max_tokens=12)).text
    for stop in (whole[1:3], whole[3], whole[2:6]):
        cut = one(backend, Prompt("One, two, three, four,", (stop, "\x07"), 12))
        assert cut.text == whole[: whole.index(stop)]
        assert cut.finish == "stop"


def keeps_unicode(backend: Backend) -> None:
    line = "Name: β-thalassemia 漢字 😀 naïve\n"
    completion = one(backend, Prompt(line * 3 + "Name:", ("\n",), 40))
    assert completion.text.strip() == line.removeprefix("Name:").strip()


def refuses_long_prompts(backend: Backend, slack: float = 0.0) -> None:
    """A prompt over the context fails by itself; its neighbours do not."""
    too_long = Prompt("word " * (backend.context + 1), max_tokens=4)
    before, failed, after = backend.generate([PROMPTS[0], too_long, PROMPTS[0]])
    assert failed.finish == "failed"
    assert not failed.text
    assert str(backend.context) in failed.detail
    assert alike(before, after, slack)
    assert before.finish == "stop"


def survives_bad_prompts(backend: Backend) -> None:
    """No text, no room for an answer, a string that is not Unicode: one completion each, no exception."""
    empty, no_room, surrogate = backend.generate(
        [Prompt("", max_tokens=2), Prompt("Once", max_tokens=0), Prompt("a \ud800", max_tokens=2)]
    )
    assert empty.finish in ("failed", "length", "stop")
    for completion in (no_room, surrogate):
        assert completion.finish == "failed"
        assert completion.detail


def counts_tokens(backend: Backend) -> None:
    for prompt in PROMPTS:
        assert backend.count_tokens(prompt.text) == one(backend, prompt).usage.prompt


def obeys_constraints(backend: Backend) -> None:
    for prompt in PROMPTS:
        constraint = choice("xyzzy", 'an "odd" \\ one', "漢字 😀; β")
        completion = one(backend, replace(prompt, max_tokens=40, constraint=constraint))
        assert completion.finish == "stop"
        assert constraint.accepts(completion.text)
    cut = one(backend, replace(PROMPTS[0], max_tokens=2, constraint=choice("xyzzy plugh " * 4)))
    assert cut.finish == "length"


def tells_raw_log_probabilities(backend: Backend, slack: float = 0.0) -> None:
    """They are the model's own: the likeliest token's where it is free, the same under a constraint."""
    for prompt in PROMPTS:
        free = one(backend, prompt)
        assert "".join(token.text for token in free.tokens) == free.text
        for token in free.tokens:
            assert token.logprob <= 0
            assert token.top
            assert token.logprob == pytest.approx(token.top[0][1])
            assert [p for _, p in token.top] == sorted((p for _, p in token.top), reverse=True)
            assert sum(math.exp(p) for _, p in token.top) <= 1.001
        bound = one(backend, replace(prompt, constraint=choice("xyzzy")))
        assert close(bound.tokens[0].top, free.tokens[0].top, slack)
        assert bound.tokens[0].logprob < free.tokens[0].logprob


def samples_by_seed(backend: Backend, slack: float = 0.0) -> None:
    """A sample follows from its prompt and seed; other seeds give others; without temperature none counts."""
    plain = PROMPTS[:2]
    drawn = [replace(prompt, temperature=1.5, seed=seed) for prompt in plain for seed in (1, 2**31 - 1)]
    first = [said(completion) for completion in backend.generate(drawn)]
    assert all_alike(backend.generate(reversed(drawn)), first[::-1], slack)
    assert len({completion.text for completion in first}) > len(plain)
    greedy = [said(completion) for completion in backend.generate(plain)]
    seeded = backend.generate(replace(prompt, temperature=0.0) for prompt in drawn[::2])
    assert all_alike(seeded, greedy, slack)
    # Tokens are raw whatever the temperature; a server may tell none of an odd text.
    told = [(sample, usual) for sample, usual in zip(first[::2], greedy, strict=True) if sample.tokens]
    assert told
    for sample, usual in told:
        assert "".join(token.text for token in sample.tokens) == sample.text
        assert close(sample.tokens[0].top, usual.tokens[0].top, slack)
    constraint = choice("gout", "flu", "asthma", "ataxia")
    bound = [replace(prompt, constraint=constraint) for prompt in drawn]
    texts = [completion.text for completion in backend.generate(bound)]
    assert all(constraint.accepts(text) for text in texts)
    assert len(set(texts)) > 1


def is_deterministic(backend: Backend, reopen: Callable[[], Backend], slack: float = 0.0) -> None:
    """Closing twice is allowed, a closed engine says so, and a fresh one gives the same completions."""
    first = [said(c) for c in backend.generate(PROMPTS)]
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        one(backend, PROMPTS[0])
    again = reopen()
    assert all_alike(again.generate(PROMPTS), first, slack)
    again.close()


def every(slack: float = 0.0) -> list[Callable[..., None]]:
    """Returns the laws that take an open engine and nothing else; those that allow for ``slack`` have it."""
    functions = [function for _, function in inspect.getmembers(sys.modules[__name__], inspect.isfunction)]
    parameters = {function: list(inspect.signature(function).parameters) for function in functions}
    strict = [function for function in functions if parameters[function] == ["backend"]]
    lenient = [function for function in functions if parameters[function] == ["backend", "slack"]]
    return strict + [update_wrapper(partial(law, slack=slack), law) for law in lenient]
