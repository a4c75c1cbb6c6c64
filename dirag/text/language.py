"""A language as one record: the word lists, rules and patterns that a file of ``kb/languages`` holds.

Whoever reads a text or a name takes the record as an argument, so texts of two languages can be read side by
side; only the outermost functions take English where none is given. A file with a key too many or too few is
refused.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from dirag.data import Status
from dirag.errors import KnowledgeError, unknown
from dirag.files import paths

Reach: TypeAlias = Literal["phrase", "clause", "sentence"]
#: What ends a phrase; what ends a clause too; what ends both, but not right beside a cue.
Stop: TypeAlias = Literal["phrase", "clause", "verb"]


@dataclass(frozen=True, slots=True)
class SentenceRules:
    """What tells where sentences end; words are in small letters where nothing else is said."""

    #: capitals with which headings, labels and sentences begin, as they stand in brackets of a pattern
    capitals: str
    #: words behind which a full stop never ends a sentence, in any case and in their own case only
    never_last: frozenset[str]
    never_last_in_this_case: frozenset[str]
    #: words behind which it ends a sentence unless a number follows
    before_number: frozenset[str]
    #: words behind which it ends a sentence only before an opener, or before a wide gap
    seldom_last: frozenset[str]
    openers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ending:
    """An ending of words of ``at_least`` so many letters, unless one of ``not_after`` stands before it."""

    ending: str
    becomes: str
    at_least: int
    not_after: str


@dataclass(frozen=True, slots=True)
class WordRules:
    """What decides the normal form of a word, and with it the keys of a knowledge base."""

    #: what is no word of its own, a possessive for one
    dropped: re.Pattern[str]
    #: parts of words and what they become, in this order; then endings, each on what those before it left
    spellings: Mapping[str, str]
    endings: tuple[Ending, ...]
    #: endings of an abbreviation in the plural
    short_form_plurals: tuple[str, ...]
    #: the name of each letter
    greek: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NameRules:
    """What tells names that stand in texts from other words."""

    #: what names of vocabularies say of themselves and no text does: "NOS"
    unspecified: re.Pattern[str]
    #: beginnings of names of what has no name: "other "
    residual: tuple[str, ...]
    #: names that a scan of running text leaves out, in any case
    never_found: frozenset[str]
    #: words that a name neither begins nor ends with
    function_words: frozenset[str]
    #: what no one takes for an entity, to stand where one stood
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DictionaryRules:
    """How the dictionary tagger reads a text beyond the names that stand in it; by default not at all."""

    #: what stands between the parts of an enumeration
    between: tuple[str, ...] = ()
    #: spellings that are never a name, by entity type
    never: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    #: words that belong to the mention when they stand right before a name, by entity type
    modifiers: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How a model writes where it keeps to no form."""

    #: what stands between the parts of an enumeration, where no separator does
    between: re.Pattern[str]
    #: an item that denies that there is a mention
    nothing: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Cue:
    """Phrases that give a status to the mentions within ``reach`` of them, on one side or both.

    In a phrase, ``a|b`` is either word, ``a?`` a word that may be missing, ``NUMBER`` any number, ``YEAR``
    one from 1900 to 2099 and ``^`` the beginning of the sentence.
    """

    label: Status
    #: where it stands: before what it bears on, after it, or between
    stands: Literal["before", "after", "between"]
    #: how far it bears: to the first stop of this reach or of a wider one
    reach: Reach
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusRules:
    """What the ConText algorithm tells the status of a mention by; without cues it tells nothing."""

    cues: tuple[Cue, ...] = ()
    #: phrases at which a scope ends, and those that look like cues and are none
    stops: Mapping[Stop, tuple[str, ...]] = field(default_factory=dict)
    neutral: tuple[str, ...] = ()
    #: headings, by the label that everything below them has; "present" for those that only end others
    headings: Mapping[Literal[Status, "present"], tuple[str, ...]] = field(default_factory=dict)


# Compared by identity, so that a record is the key of a cache without a look at its lists.
@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """Everything of a language that texts and names are read by; ``code`` is the name of its file."""

    code: str
    sentences: SentenceRules
    words: WordRules
    names: NameRules
    dictionary: DictionaryRules
    answers: AnswerRules
    status: StatusRules


@cache
def language(code: str) -> Language:
    """Returns a language of ``kb/languages``, read once; raises UsageError for one that is not there."""
    files = {file.stem: file for file in paths.path("kb", "languages").glob("*.toml")}
    if code not in files:
        raise unknown("language", code, files)
    return read(files[code])


def english() -> Language:
    """Returns the language of a text of which nothing else is known."""
    return language("en")


def read(path: Path) -> Language:
    """Reads a file such as ``kb/languages/en.toml``; raises KnowledgeError for one that does not fit."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise KnowledgeError(f"cannot read the language {path}: {error.strerror}") from error
    except ValueError as error:
        raise KnowledgeError(f"{path} is no language: {error}") from error
    if "code" in table:  # a file under another name would pass for that language, and spoil its keys
        raise KnowledgeError(f"{path} has the unknown key code", hint="the name of the file is the code")
    record: Language = _record(Language, {**table, "code": path.stem}, path, "")
    _pattern(f"[{record.sentences.capitals}]", path, "sentences.capitals")
    return record


def _value(kind: Any, value: Any, path: Path, key: str) -> Any:
    """Returns a value of the file as the type of its field; ``key`` is its place, with dots."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and isinstance(value, dict):
        return _record(kind, value, path, key)
    if origin is Mapping and isinstance(value, dict):
        parts = {_value(arguments[0], name, path, f"{key}.{name}"): part for name, part in value.items()}
        return {name: _value(arguments[1], part, path, f"{key}.{name}") for name, part in parts.items()}
    if origin in (tuple, frozenset) and isinstance(value, list):
        return origin(_value(arguments[0], part, path, f"{key}[{n}]") for n, part in enumerate(value))
    if origin is re.Pattern and isinstance(value, str):
        return _pattern(value, path, key)
    if (isinstance(kind, type) and type(value) is kind) or (origin is Literal and value in arguments):
        return value
    raise KnowledgeError(f"{path}: {key} is {value!r}", hint=f"give {_form(kind)}")


def _record(kind: Any, table: Mapping[str, Any], path: Path, key: str) -> Any:
    # Every key, also of an empty list: a file that leaves one out would give wrong segments in silence.
    kinds, inside = get_type_hints(kind), f"{key}." if key else ""
    for name in table:
        if name not in kinds:
            hint = f"its keys there are {', '.join(name for name in kinds if name != 'code')}"
            raise KnowledgeError(f"{path} has the unknown key {inside}{name}", hint=hint)
    for part in fields(kind):
        if part.name not in table:
            hint = "add it, in the form that kb/languages/en.toml gives it"
            raise KnowledgeError(f"{path} lacks the key {inside}{part.name}", hint=hint)
    return kind(**{name: _value(kinds[name], part, path, f"{inside}{name}") for name, part in table.items()})


def _pattern(value: str, path: Path, key: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        hint = "give a regular expression of Python"
        raise KnowledgeError(f"{path}: {key} is {value!r}: {error}", hint=hint) from error


def _form(kind: Any) -> str:
    """Returns what a value of the file must be, for a user."""
    if is_dataclass(kind) or get_origin(kind) is Mapping:
        return "a table"
    if get_origin(kind) in (tuple, frozenset):
        return "a list"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return "a whole number" if kind is int else "a string"
