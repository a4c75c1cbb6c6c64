"""Codes of languages: ISO 639-1 (``en``), which people and SNOMED CT write, and the UMLS's (``ENG``)."""

from __future__ import annotations

from collections.abc import Iterable

_UMLS = {
    "cs": "CZE",
    "da": "DAN",
    "de": "GER",
    "el": "GRE",
    "en": "ENG",
    "es": "SPA",
    "et": "EST",
    "eu": "BAQ",
    "fi": "FIN",
    "fr": "FRE",
    "he": "HEB",
    "hr": "SCR",
    "hu": "HUN",
    "it": "ITA",
    "ja": "JPN",
    "ko": "KOR",
    "lv": "LAV",
    "nl": "DUT",
    "no": "NOR",
    "pl": "POL",
    "pt": "POR",
    "ru": "RUS",
    "sv": "SWE",
    "tr": "TUR",
    "uk": "UKR",
    "zh": "CHI",
}
_ISO = {long: short for short, long in _UMLS.items()}


def umls(codes: Iterable[str]) -> tuple[str, ...]:
    """Returns the UMLS's codes; one without an ISO counterpart here stands for itself."""
    return tuple(_UMLS.get(code.lower(), code.upper()) for code in codes)


def iso(codes: Iterable[str]) -> tuple[str, ...]:
    """Returns the ISO codes; one that is no code of the UMLS stands for itself."""
    return tuple(_ISO.get(code.upper(), code.lower()) for code in codes)


def place(code: str, wanted: tuple[str, ...]) -> int | None:
    """Returns the rank of a language among those wanted, 0 for the best; None where it is not wanted."""
    if not wanted:
        return 0
    return wanted.index(code) if code in wanted else None
