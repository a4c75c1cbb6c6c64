"""The pieces of a text as a tokenizer of transformers cuts them, and their places."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.errors import ArtifactError
from dirag.files.libraries import loading, quiet

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Models whose positions are counted from behind the number of the padding.
_PADDED_PLACES = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer")
_MASKS = ("[MASK]", "<mask>")


@dataclass(frozen=True, slots=True)
class Pieces:
    """The tokens of a text without the special ones around it: their numbers and their half-open offsets."""

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]]


class PieceTokenizer:
    """The tokenizer of an encoder; ``limit`` is the number of tokens that the encoder has places for.

    ``room`` of them are left for a text beside the special ones, ``before`` of which stand in front of it.
    ``mask`` is the number of the token that hides a piece, that of an unknown one where there is none.
    """

    def __init__(self, tokenizer: Tokenizer, limit: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer, self.limit = tokenizer, limit
        encoding = tokenizer.encode("a")
        special = encoding.special_tokens_mask
        first, last = special.index(0), len(special) - special[::-1].index(0)
        self._front, self._back = encoding.ids[:first], encoding.ids[last:]
        self.before = first
        self.room = limit - len(self._front) - len(self._back)
        masks = [number for token in _MASKS if (number := tokenizer.token_to_id(token)) is not None]
        self.mask = masks[0] if masks else 0

    @classmethod
    def open(cls, folder: Path) -> PieceTokenizer:
        """Opens the tokenizer in a folder, its ``tokenizer.json`` or what transformers makes of its files."""
        return cls(_open(folder), _limit(read_config(folder), folder))

    def pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """Returns the pieces of each text."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [Pieces(encoding.ids, encoding.offsets) for encoding in encodings]

    def framed(self, ids: Sequence[int]) -> list[int]:
        """Returns the pieces with the special tokens around them."""
        return [*self._front, *ids, *self._back]


def read_config(folder: Path) -> Mapping[str, Any]:
    """Returns the settings in the ``config.json`` of an encoder's folder."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"cannot read {path} of an encoder: {error}", hint="name a folder that transformers opens"
        ) from error
    if not isinstance(config, dict):
        raise ArtifactError(f"{path} holds no object", hint="fetch the folder again")
    return config


def _open(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if path.is_file():
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:
            raise ArtifactError(f"cannot read {path}: {error}", hint="fetch the file again") from error
    with quiet():
        from transformers import AutoTokenizer
    with loading(f"{str(folder)!r} has no tokenizer", hint="add its tokenizer.json"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not tokenizer.is_fast:
        raise ArtifactError(f"the tokenizer in {str(folder)!r} has no offsets", hint="add its tokenizer.json")
    inner: Tokenizer = tokenizer.backend_tokenizer
    return inner


def places(config: Mapping[str, Any]) -> int | None:
    """Returns the tokens that a model has places for, None if its settings state no number."""
    stated = config.get("max_position_embeddings")
    before = int(config.get("pad_token_id", 1)) + 1 if config.get("model_type") in _PADDED_PLACES else 0
    return int(stated) - before if stated else None


def _limit(config: Mapping[str, Any], folder: Path) -> int:
    """Returns the tokens that a model can read; of one that states no number, 512."""
    most = places(config) or 512
    settings = folder / "tokenizer_config.json"
    stated = json.loads(settings.read_bytes()).get("model_max_length") if settings.is_file() else None
    return min(most, int(stated)) if stated else most
