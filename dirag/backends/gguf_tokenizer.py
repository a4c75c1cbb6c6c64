"""The tokens of a model in a GGUF file: text to numbers, and each number to its bytes.

What is spelled like a control token is text, for notes may hold anything. Byte-level BPE (GPT-2, Llama 3,
Qwen 2, SmolLM) is read; a file with another tokenizer is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFReader
    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from tokenizers.pre_tokenizers import PreTokenizer

_SPELLING, _NUMBERS = "tokenizer.json", "vocabulary.json"
_NORMAL, _USER = 1, 4  # token types of GGUF; the rest, control tokens above all, are never text
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
#: The pre-tokenizers of GGUF that are computed here: digits one by one, or the pattern that parts words.
_PARTING = {
    "default": None,
    "gpt-2": None,
    "smollm": "digits",
    "llama-bpe": _LLAMA3,
    "qwen2": _LLAMA3.replace("{1,3}", ""),
}


@dataclass(frozen=True)
class GgufTokenizer:
    """``pieces`` are the bytes of each token, none for a control token; ``first`` begins every prompt.

    ``context`` is the length in tokens that the model was trained for.
    """

    tokenizer: Tokenizer
    pieces: Sequence[bytes]
    first: tuple[int, ...]
    context: int

    def encode(self, text: str) -> list[int]:
        """Returns the tokens of a prompt; raises UnicodeEncodeError where it holds a lone surrogate."""
        text.encode()
        return [*self.first, *self.tokenizer.encode(text, add_special_tokens=False).ids]

    @cached_property
    def first_bytes(self) -> NDArray[np.int16]:
        """The first byte of each token, int16; 256 for a control token, which ends an answer."""
        import numpy as np

        return np.array([piece[0] if piece else 256 for piece in self.pieces], np.int16)


def convert(reader: GGUFReader, path: Path, folder: Path) -> None:
    """Writes the tokenizer of a GGUF file into a folder, in the form that ``load`` reads in no time."""
    from tokenizers import Tokenizer, models

    fields = {name: field.contents() for name, field in reader.fields.items()}
    kind, parting = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or parting not in _PARTING:
        raise BackendError(
            f"{path} has the tokenizer {kind}/{parting}, which is not one of gpt2/{', '.join(_PARTING)}",
            hint="run it with --backend llamacpp",
        )
    tokens, types = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ", 1)) for pair in fields["tokenizer.ggml.merges"]]
    numbers = {token: n for n, token in enumerate(tokens)}
    # Llama 3 takes a word that is a token whole, also where its merges would not lead to it.
    whole_words = parting == "llama-bpe"
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=merges, ignore_merges=whole_words))
    tokenizer.pre_tokenizer = _parted(_PARTING[parting])
    tokenizer.save(str(folder / _SPELLING))
    first = [fields["tokenizer.ggml.bos_token_id"]] if _begins(fields, parting) else []
    text = [number for number, kind in enumerate(types) if kind in (_NORMAL, _USER)]
    context = fields[f"{fields['general.architecture']}.context_length"]
    numbering = {"first": first, "text": text, "context": context}
    (folder / _NUMBERS).write_text(json.dumps(numbering), "utf-8")


def load(folder: Path) -> GgufTokenizer:
    """Reads the tokenizer that ``convert`` wrote."""
    from tokenizers import Tokenizer

    numbering = json.loads((folder / _NUMBERS).read_bytes())
    tokenizer = Tokenizer.from_file(str(folder / _SPELLING))
    numbers = tokenizer.get_vocab(with_added_tokens=False)
    pieces, signs = [b""] * len(numbers), _bytes_of_signs()
    text = frozenset(numbering["text"])
    for token, number in numbers.items():
        if number in text:
            pieces[number] = b"".join(
                bytes([signs[sign]]) if sign in signs else sign.encode() for sign in token
            )
    return GgufTokenizer(tokenizer, pieces, tuple(numbering["first"]), numbering["context"])


def _begins(fields: Mapping[str, object], parting: object) -> bool:
    """Tells whether a token stands before every prompt; llama.cpp's default is by the kind of tokenizer."""
    return bool(fields.get("tokenizer.ggml.add_bos_token", parting == "llama-bpe"))


def _parted(parting: str | None) -> PreTokenizer:
    from tokenizers import Regex, pre_tokenizers

    if parting is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if parting == "digits":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    words = pre_tokenizers.Split(Regex(parting), behavior="isolated")
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _bytes_of_signs() -> dict[str, int]:
    """Returns the byte that each sign of a byte-level vocabulary stands for (GPT-2)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    other = [byte for byte in range(0x100) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(0x100 + n): byte for n, byte in enumerate(other)}
