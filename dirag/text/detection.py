"""Tells whether a text is clearly of another language than the one it is read as."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from dirag.text.language import Language

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

#: Characters of a text that are looked at, and letters below which nothing is said of it.
_BEGINNING, _LETTERS = 2000, 60
#: The share of function words from which a text is of the language that has them, and is looked at no more:
#: prose has 0.3 to 0.5, and loading the classifier takes longer than tagging a note.
_FUNCTION_WORDS = 0.15
#: The probability from which another language is clear.
_CLEAR = 0.95
_WORD = re.compile(r"[^\W\d_]+")


def other_language(text: str, language: Language) -> str | None:
    """Returns the ISO 639 code of the language that a text is clearly in, None if that is ``language``.

    Short texts, and those of names and numbers alone, are clear in no language.
    """
    beginning = text[:_BEGINNING]
    words = [word.lower() for word in _WORD.findall(beginning)]
    if sum(map(len, words)) < _LETTERS:
        return None
    function_words = sum(word in language.names.function_words for word in words)
    if function_words >= _FUNCTION_WORDS * len(words):
        return None
    code, probability = _identifier().classify(beginning)
    return code if code != language.code and probability >= _CLEAR else None


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
