"""Words of a text in the form in which names are compared, each with its place in the text as given.

Case, accents, hyphens, punctuation and Roman numerals are evened out word by word, and by the rules of the
language plurals, spellings and Greek letters, so an offset always belongs to the original text and never to a
changed copy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from dirag.text.language import Language

_COMBINING = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
_MARKS = rf"{_COMBINING}\u00ad\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
# Letters and digits are separate words, so that HER2, HER-2 and HER 2 are one name. What has no width
# parts no word, and ends none. The possessive quantifiers keep no place to come back to: a word of 5 million
# letters took 700 MB without them.
_LETTERS = rf"(?:[^\W\d_]++(?:[{_MARKS}]*+(?=[^\W\d_])|[{_COMBINING}]*+))++"
_WORD = rf"({_LETTERS}|\d(?:[\d{_COMBINING}]|[{_MARKS}]++(?=\d))*+)"
_DROPPED = re.compile(rf"[{_MARKS}]")
#: Names of at most so many characters may be acronyms, which only their case tells from common words.
SHORT = 4
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
# A run of blanks is looked at from its first one only, else its length would count squared.
_BRACKETS = re.compile(r"(?<!\s)\s*+(?:\([^()]*\)|\[[^\[\]]*\])")


class Normaliser:
    """The words, keys and variants of names in one language."""

    def __init__(self, language: Language) -> None:
        rules = language.words
        dropped = rules.dropped.pattern
        self._word = re.compile(f"{dropped}|{_WORD}" if dropped else _WORD)
        self._greek, self._spellings = rules.greek, tuple(rules.spellings.items())
        self._endings = tuple(
            (e.ending, e.becomes, e.at_least, frozenset(e.not_after)) for e in rules.endings
        )
        self._every_ending = tuple(e.ending for e in rules.endings)
        self._unspecified = language.names.unspecified
        self.normal_form = lru_cache(maxsize=1 << 13)(self._normal_form)

    def _normal_form(self, word: str) -> str:
        """Returns the form in which one word is compared, never empty."""
        # Marks go before NFKD, too, which sorts those of one letter in time squared.
        plain = _DROPPED.sub("", unicodedata.normalize("NFKD", _DROPPED.sub("", word))).casefold()
        plain = _DROPPED.sub("", plain) or word
        if not plain.isascii():
            plain = "".join(self._greek.get(character, character) for character in plain)
        if plain in _ROMAN:
            return _ROMAN[plain]
        return (self._stem(plain) or plain) if len(plain) > 3 else plain

    def _stem(self, word: str) -> str:
        """Brings plural and spelling variants to one form: diseases and disease, metastases, oedema."""
        for spelling, other in self._spellings:
            word = word.replace(spelling, other)
        if word.endswith(self._every_ending):  # most words have none of them, and are done here
            for ending, other, least, not_after in self._endings:
                rest = word.removesuffix(ending)
                if len(rest) < len(word) >= least and rest[-1:] not in not_after:
                    word = rest + other
        return word

    def words(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Yields the words of a text in order: normal form, start, end."""
        form = self.normal_form  # once: every word of every text and name comes through these loops
        for match in self._word.finditer(text):
            if word := match[1]:  # else a possessive: Crohn's disease is Crohn disease
                start, end = match.span()
                yield form(word), start, end

    def key(self, name: str) -> tuple[str, ...]:
        """Returns the words under which a name is filed; a name without any word is filed by its signs."""
        form = self.normal_form
        words = [form(word) for match in self._word.finditer(name) if (word := match[1])]
        return tuple(words) or tuple(name.casefold().split()) or ("",)

    def variants(self, name: str) -> Iterator[str]:
        """Yields other ways to write a name: without "NOS" or brackets, "Neoplasm, Breast" turned round."""
        plain = self._unspecified.sub("", name)
        bare = _BRACKETS.sub("", plain).strip(" ,")
        for variant in (plain.strip(" ,"), bare):
            if variant and variant != name:
                yield variant
        parts = bare.split(", ")
        if 2 <= len(parts) <= 4:
            yield " ".join(reversed(parts))


@cache
def normaliser(language: Language) -> Normaliser:
    """Returns the normaliser of a language, one for all who ask, as they share its cache of forms."""
    return Normaliser(language)


def cased_key(words: Sequence[str], name: str) -> tuple[str, ...]:
    """Returns the words of a name as a key; a short name's spelling is part of it: "ALL" is not "all"."""
    return (*words, "=" + name) if len(name) <= SHORT else tuple(words)


def is_acronym(name: str) -> bool:
    """Tells whether the case of a short name tells it from a common word: "ALL" and "WAS", but not "Gout"."""
    return len(name) <= SHORT and not (name[1:].isalpha() and name[1:].islower())
