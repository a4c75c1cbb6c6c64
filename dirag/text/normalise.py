"""Words of a text in the form in which names are compared, each with its place in the text as given.

Case, accents, hyphens, punctuation, plurals, Greek letters, British spelling and Roman numerals are
evened out word by word, so an offset always belongs to the original text and never to a changed copy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

_MARKS = "\u00ad\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
# Letters and digits are separate words, so that HER2, HER-2 and HER 2 are one name. The possessive
# quantifiers keep no place to come back to: a word of 5 million letters took 700 MB without them.
_WORD = re.compile(rf"['’]s\b|((?:[^\W\d_]++[{_MARKS}]*+)++|\d[\d{_MARKS}]*+)")
_DROPPED = re.compile(rf"[{_MARKS}]")
GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma "  # noqa: SIM905
        "tau upsilon phi chi psi omega".split(),
        strict=True,
    )
)
#: Names of at most so many characters may be acronyms, which only their case tells from common words.
SHORT = 4
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}

_UNSPECIFIED = re.compile(
    r",? (?:NOS|NEC)\b|, unspecified(?: \w+)?$|,? unspecified\b"
    r"|, not (?:otherwise specified|elsewhere classified)",
    re.IGNORECASE,
)
# A run of blanks is looked at from its first one only, else its length would count squared.
_BRACKETS = re.compile(r"(?<!\s)\s*+(?:\([^()]*\)|\[[^\[\]]*\])")


@lru_cache(maxsize=1 << 13)
def normal_form(word: str) -> str:
    """Returns the form in which one word is compared, never empty."""
    # Marks go before NFKD, too, which sorts those of one letter in time squared.
    plain = _DROPPED.sub("", unicodedata.normalize("NFKD", _DROPPED.sub("", word))).casefold()
    plain = _DROPPED.sub("", plain) or word
    if not plain.isascii():
        plain = "".join(GREEK.get(character, character) for character in plain)
    if plain in _ROMAN:
        return _ROMAN[plain]
    return _stem(plain) if len(plain) > 3 else plain


def _stem(word: str) -> str:
    """Brings plural and spelling variants to one form: diseases and disease, metastases, oedema."""
    word = word.replace("ae", "e").replace("oe", "e").replace("our", "or")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and word[-2] not in "sui" and len(word) > 3:
        word = word[:-1]
    if word.endswith("sis"):
        return word[:-2]
    return word[:-1] if word.endswith("se") and len(word) > 4 else word


def words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yields the words of a text in order: normal form, start, end."""
    for match in _WORD.finditer(text):
        if match[1]:  # else a possessive: Crohn's disease is Crohn disease
            start, end = match.span()
            yield normal_form(match[1]), start, end


def key(name: str) -> tuple[str, ...]:
    """Returns the words under which a name is filed; a name without any word is filed by its signs."""
    words = tuple(normal_form(match[1]) for match in _WORD.finditer(name) if match[1])
    return words or tuple(name.casefold().split()) or ("",)


def cased_key(words: Sequence[str], name: str) -> tuple[str, ...]:
    """Returns the words of a name as a key; a short name's spelling is part of it: "ALL" is not "all"."""
    return (*words, "=" + name) if len(name) <= SHORT else tuple(words)


def variants(name: str) -> Iterator[str]:
    """Yields other ways to write a name: without "NOS" or brackets, and "Neoplasm, Breast" turned round."""
    plain = _UNSPECIFIED.sub("", name)
    bare = _BRACKETS.sub("", plain).strip(" ,")
    for variant in (plain.strip(" ,"), bare):
        if variant and variant != name:
            yield variant
    parts = bare.split(", ")
    if 2 <= len(parts) <= 4:
        yield " ".join(reversed(parts))


def is_acronym(name: str) -> bool:
    """Tells whether the case of a short name tells it from a common word: "ALL" and "WAS", but not "Gout"."""
    return len(name) <= SHORT and not (name[1:].isalpha() and name[1:].islower())
