"""The exception tree of the package, one class a stage.

    DiragError
    ├── UsageError        an option, a value or a name that is wrong (exit status 2)
    ├── InputError        a file or a stream that cannot be read as a whole
    ├── DatasetError      a corpus that is missing or is not what it says
    ├── KnowledgeError    a vocabulary or a knowledge base
    ├── ExamplesError     a pool of in-context examples
    ├── PromptError       a template, or a prompt that cannot fit the context
    ├── ArtifactError     weights or vocabularies that are missing, half fetched or wrong
    └── BackendError      an engine; ``retryable`` says whether the same call may go through later

A message says what, where (file, line, flag) and the value seen; ``hint`` is the cure. Input that is
bad in one record only is no exception but an :class:`dirag.data.Issue` of that record.
"""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable


class DiragError(Exception):
    """The root of every error that a user can cure; anything else that is raised is a bug."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(DiragError):
    """An option, a value or a name that is wrong."""


class InputError(DiragError):
    """A file or a stream that cannot be read as a whole."""


class DatasetError(DiragError):
    """A corpus that is missing or is not what it says."""


class KnowledgeError(DiragError):
    """A vocabulary or a knowledge base that cannot be used."""


class ExamplesError(DiragError):
    """A pool of in-context examples that cannot be used."""


class PromptError(DiragError):
    """A template that is broken, or a prompt that cannot fit the context."""


class ArtifactError(DiragError):
    """Weights or vocabularies that are missing, half fetched or wrong."""


class BackendError(DiragError):
    """An engine that failed; ``retryable`` says whether the same call may go through later."""

    def __init__(self, message: str, *, hint: str = "", retryable: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Returns the error for a name that is not in a table, with the known names and the nearest one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"unknown {kind} {name!r}", hint=f"{guess}known: {', '.join(names)}")


def place_of(error: BaseException) -> str:
    """Returns the module and line that raised an error, for issues: its message may quote a document."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{frame.f_globals.get('__name__')}:{line}"
