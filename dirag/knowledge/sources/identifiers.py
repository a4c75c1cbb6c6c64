"""Ids of concepts in one form, ``PREFIX:local``, so that vocabularies mean the same by the same string."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: A release date that some publishers put behind the prefix: SNOMEDCT_US_2025_09_01, ICD9CM_2005.
_DATED = re.compile(r"(\s*_\d{4}(_\d\d){0,2})+$")
_REGISTRY = ((re.compile(r"\d+-\d\d-\d"), "CAS"), (re.compile(r"(?=.*\d)[A-Z0-9]{10}"), "UNII"))
_IRI = re.compile(r"https?://.*[/#]([A-Za-z][\w.]*?)_([^/#_][^/#]*)")


def curie(text: str, prefixes: Mapping[str, str]) -> str:
    """Returns an id in its one form, or "" where it is none; ``prefixes`` is the table of the type map."""
    prefix, _, local = text.strip().partition(":")
    prefix, local = _DATED.sub("", prefix.strip()).strip(), local.strip()
    prefix = prefixes.get(prefix.upper(), prefix)
    while prefix and local.upper().startswith(f"{prefix.upper()}:"):  # HGNC:HGNC:5
        local = local[len(prefix) + 1 :].strip()
    # "/" and quotes: an address (http://…) or a quotation, which publishers put among the ids.
    if not prefix or not local or local[0] in "/\"'":
        return ""
    return f"{prefix}:{local}"


def curies(texts: Iterable[str], prefixes: Mapping[str, str], *, own: str) -> tuple[str, ...]:
    """Returns the distinct ids among these texts, without a concept's own."""
    ids = dict.fromkeys(curie(text, prefixes) for text in texts)
    return tuple(id for id in ids if id and id != own)


def from_iri(iri: str) -> str:
    """Returns ``DOID:4`` for ``http://purl.obolibrary.org/obo/DOID_4``; anything else as it is."""
    match = _IRI.fullmatch(iri)
    return f"{match[1]}:{match[2]}" if match else iri


def registry(number: str) -> str:
    """Returns a CAS or UNII number with its prefix, "" for anything else."""
    return next((f"{prefix}:{number}" for form, prefix in _REGISTRY if form.fullmatch(number)), "")
