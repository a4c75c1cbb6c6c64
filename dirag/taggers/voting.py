"""Several answers to one prompt: the prompts that sample them, and the entities that they agree on.

In: a prompt; the entities of each answer to it. Out: a prompt for each sample, with a seed of its own; the
entities that at least half of the answers name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from dirag.data import Entity, Prompt
from dirag.text.align import Span, longest


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are sampled: ``number`` a prompt at ``temperature``; a single one is greedy."""

    number: int = 1
    temperature: float = 0.7
    seed: int = 0

    def prompts(self, prompt: Prompt) -> Iterator[Prompt]:
        """Yields a prompt for each sample, whose seed follows from ours, its number and the text."""
        if self.number == 1:
            yield prompt
            return
        for number in range(self.number):
            identity = f"{self.seed} {number} {prompt.text}".encode("utf-8", "surrogatepass")
            # No engine takes more than 31 bits for certain.
            seed = int.from_bytes(sha256(identity).digest()[:4]) >> 1
            yield replace(prompt, temperature=self.temperature, seed=seed)


SINGLE = Sampling()


def elect(ballots: Sequence[Sequence[Entity]]) -> list[Entity]:
    """Returns the entities that at least half of the answers name, in text order, with their usual type.

    The score is the share of the answers that name the span with this type, times the mean score that they
    give it, or the share alone where they give none. The entities of one answer must not overlap. A single
    answer stays as it is.
    """
    if len(ballots) == 1:
        return list(ballots[0])
    named: defaultdict[Span, list[Entity]] = defaultdict(list)
    for entity in (entity for ballot in ballots for entity in ballot):
        named[entity.start, entity.end].append(entity)
    elected = []
    for votes in named.values():
        # An answer has a span at most once, so these are votes of different answers.
        if 2 * len(votes) >= len(ballots):
            kind, _ = Counter(vote.type for vote in votes).most_common(1)[0]
            scores = [1.0 if vote.score is None else vote.score for vote in votes if vote.type == kind]
            # The share of these votes times their mean score: the number of the votes cancels out.
            elected.append(replace(votes[0], type=kind, score=sum(scores) / len(ballots)))
    # With an even number of answers spans that overlap may each have half of them.
    return longest(sorted(elected, key=lambda entity: entity.start))
