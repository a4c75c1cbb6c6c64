"""Reads prompt templates: files of ``prompts/`` or of one's own, by name or path, checked at once.

A file is for one answer format and one language; ``types.LANGUAGE.toml`` names and describes the entity types
for all prompts of a language.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from dirag.data import Document, Mention
from dirag.errors import PromptError, unknown
from dirag.files import paths
from dirag.text.align import place

FIELDS: Mapping[str, frozenset[str]] = {
    "head": frozenset({"types", "descriptions"}),
    "example": frozenset({"text", "label", "answer"}),
    "concept": frozenset({"mention", "semantic_type", "definition"}),
    "query": frozenset({"concepts", "text", "label"}),
}
#: The fields without which a prompt could not be used.
NEEDED = {"example": {"text", "answer"}, "query": {"text"}}
_KEYS = (*FIELDS, "answer", "language", "several", "plurals", "descriptions", "examples")
_TYPES = "types."


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """The words of a prompt; ``plurals`` names entity types as the head and the label do.

    ``examples`` are the file's own, which stand in every prompt beside those that are selected.
    """

    head: Template
    example: Template
    concept: Template
    query: Template
    several: str
    plurals: Mapping[str, str]
    descriptions: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Document, ...] = ()

    @property
    def describes(self) -> bool:
        """Tells whether the head has a place for descriptions."""
        return "descriptions" in self.head.get_identifiers()

    def describe(self, types: Sequence[str]) -> dict[str, str]:
        """Returns the description of each type; raises PromptError for one that has none."""
        written = {name.casefold(): text for name, text in self.descriptions.items()}
        descriptions = {type_: written.get(type_.casefold().replace("_", " "), "") for type_ in types}
        if missing := [type_ for type_, text in descriptions.items() if not text]:
            raise PromptError(
                f"no description of the entity type {', '.join(missing)}",
                hint="write one into [descriptions] of your own --prompt file, or leave out --descriptions",
            )
        return descriptions


def prompt_file(answer: str, prompt: str = "auto") -> Path:
    """Returns the file of a prompt by its name or path; "auto" is the English one of the answer format."""
    if prompt == "auto":
        return paths.path("prompts", f"{answer}.en.toml")
    path = Path(prompt).expanduser()
    if path.suffix == ".toml" or len(path.parts) > 1:
        return path
    files = paths.path("prompts").glob("*.toml")
    prompts = {file.stem: file for file in files if not file.name.startswith(_TYPES)}
    if prompt not in prompts:
        raise unknown("prompt", prompt, prompts)
    return prompts[prompt]


def sources(answer: str, prompt: str = "auto") -> list[bytes]:
    """Returns the contents of every file that decides the words of a prompt."""
    return [_bytes(path) for path in (prompt_file(answer, prompt), *_type_files().values())]


def load_template(answer: str, *, path: Path | None = None) -> PromptTemplate:
    """Returns the template for an answer format.

    Raises PromptError for unknown keys or fields, missing texts, another answer format, and examples that do
    not align.
    """
    path = path or prompt_file(answer)
    raw = _read(path)
    if odd := [key for key in raw if key not in _KEYS]:
        raise PromptError(f"template {path} has the unknown key {odd[0]!r}", hint=f"keys: {', '.join(_KEYS)}")
    if raw.get("answer", answer) != answer:
        raise PromptError(
            f"template {path} is for the answer format {raw['answer']!r}, not {answer!r}",
            hint=f"give --answer {raw['answer']}, or another --prompt",
        )
    # In the order of FIELDS, which is that of the template's own.
    head, example, concept, query = (_text(path, raw, key) for key in FIELDS)
    types = _types(str(raw.get("language", "en")), path)
    plurals = {name: about["plural"] for name, about in types.items() if "plural" in about}
    descriptions = {name: about["description"] for name, about in types.items()}
    return PromptTemplate(
        head,
        example,
        concept,
        query,
        several=str(raw.get("several", "Entities")),
        plurals=plurals | _table(path, raw, "plurals"),
        descriptions=descriptions | _table(path, raw, "descriptions"),
        examples=tuple(_examples(path, raw)),
    )


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_bytes(path).decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PromptError(f"cannot read the template {path}: {error}") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PromptError(f"cannot read the template {path}: {error.strerror}") from error


def _type_files() -> dict[str, Path]:
    """Returns the files that name and describe the entity types, by language."""
    files = paths.path("prompts").glob(f"{_TYPES}*.toml")
    return {file.stem.removeprefix(_TYPES): file for file in sorted(files)}


def _types(language: str, path: Path) -> dict[str, dict[str, str]]:
    """Returns the entity types as a language names and describes them."""
    languages = _type_files()
    if language not in languages:
        raise PromptError(
            f"template {path} has the unknown language {language!r}",
            hint=f"known: {', '.join(sorted(languages))}",
        )
    return {str(k): dict(v) for k, v in _read(languages[language]).items() if isinstance(v, dict)}


def _text(path: Path, raw: Mapping[str, object], key: str) -> Template:
    """Returns one of the texts of a template; raises PromptError for fields that are unknown or missing."""
    value = raw.get(key)
    if not isinstance(value, str):
        raise PromptError(f"template {path} has no text {key!r}", hint=f"it needs {', '.join(FIELDS)}")
    text, allowed = Template(value), FIELDS[key]
    names = set(text.get_identifiers())
    if names - allowed or not text.is_valid():
        seen = ", ".join(sorted(names - allowed)) or "a lone $"
        raise PromptError(f"template {path}, {key!r}: {seen}", hint=f"fields: {', '.join(sorted(allowed))}")
    if missing := NEEDED.get(key, set()) - names:
        raise PromptError(
            f"template {path}, {key!r} has no ${min(missing)}",
            hint=f"write ${min(missing)} where the prompt shall have it",
        )
    return text


def _table(path: Path, raw: Mapping[str, object], key: str) -> dict[str, str]:
    """Returns a table of one line of text a type."""
    table = raw.get(key, {})
    if not isinstance(table, dict):
        raise PromptError(f"template {path}: {key!r} is not a table", hint=f"write [{key}]")
    for name, value in table.items():
        if not isinstance(value, str) or len(value.splitlines()) != 1:
            raise PromptError(f"template {path}, {key}.{name} is not one line of text")
    return table


def _examples(path: Path, raw: Mapping[str, object]) -> Iterator[Document]:
    """Yields the file's own examples: a text and, by type, its mentions, each of which has a place in it."""
    listed = raw.get("examples", [])
    for number, entry in enumerate(listed if isinstance(listed, list) else [listed], start=1):
        where = f"template {path}, example {number}"
        entities = entry.get("entities", {}) if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str) or entry.keys() - _EXAMPLE:
            raise PromptError(f"{where} is not a text with its entities", hint=_EXAMPLE_HINT)
        if not isinstance(entities, dict) or not all(map(_strings, entities.values())):
            raise PromptError(f"{where}: its entities are not lists of text by type", hint=_EXAMPLE_HINT)
        mentions = [Mention(name, type_) for type_, names in entities.items() for name in names]
        placed, issues = place(entry["text"], mentions)
        if issues:
            raise PromptError(
                f"{where} does not align: {issues[0].detail} is {issues[0].code}",
                hint="write its mentions exactly as its text does, none inside another",
            )
        yield Document(f"{path.stem}:{number}", entry["text"], tuple(placed))


_EXAMPLE = {"text", "entities"}
_EXAMPLE_HINT = 'as in [[examples]] text = "No gout." entities = { disease = ["gout"] }'


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
