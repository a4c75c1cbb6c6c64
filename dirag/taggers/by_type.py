"""Several taggers as one, each of which finds types of its own.

In: segments. Out: one tagging a segment, in order; of entities that overlap the more probable stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, tee

from dirag.data import Segment, Tagging, Usage
from dirag.protocols import Tagger
from dirag.taggers.decision import likeliest


class ByTypeTagger:
    """Tags by every one of some taggers, whose types differ."""

    def __init__(self, taggers: Sequence[Tagger]) -> None:
        self._taggers = taggers

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        copies = tee(segments, len(self._taggers))
        streams = [tagger.tag(copy) for tagger, copy in zip(self._taggers, copies, strict=True)]
        for taggings in zip(*streams, strict=True):
            yield Tagging(
                tuple(likeliest(chain.from_iterable(tagging.entities for tagging in taggings))),
                tuple(dict.fromkeys(issue for tagging in taggings for issue in tagging.issues)),
                sum((tagging.usage for tagging in taggings), Usage()),
            )

    def notices(self) -> Sequence[str]:
        """Returns what the taggers have to say, each sentence once."""
        return tuple(dict.fromkeys(notice for tagger in self._taggers for notice in tagger.notices()))

    def close(self) -> None:
        """Closes every tagger."""
        for tagger in self._taggers:
            tagger.close()
