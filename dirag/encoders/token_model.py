"""Token classifiers: pieces of text in, log-probabilities of labels out, by OpenVINO or by torch.

In: a folder of transformers' ``AutoModelForTokenClassification`` with its tokenizer. A folder that holds
``openvino_model.xml`` too, and every plain BERT, is run by OpenVINO and needs no torch; any other by torch.
Refused: weights that lack a part of the model, and folders without a fast tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dirag.encoders.token_openvino import OpenVinoScorer
from dirag.encoders.token_pieces import PieceTokenizer, read_config
from dirag.encoders.token_torch import TorchScorer
from dirag.errors import ArtifactError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TokenScorer(Protocol):
    """Computes the scores of token rows.

    Laws: one array a row, in order, of shape (tokens, labels), float32, natural log-probabilities; the same
    row has the same scores in any company, on a CPU bit for bit.
    """

    def scores(self, rows: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float32]]: ...


class TokenModel:
    """A token classifier: its ``tokenizer``, its ``labels`` in the order of scores, and what computes these.

    ``engine`` names the library that does.
    """

    def __init__(
        self, tokenizer: PieceTokenizer, labels: Sequence[str], scorer: TokenScorer, *, engine: str
    ) -> None:
        self.tokenizer, self.labels, self.engine = tokenizer, tuple(labels), engine
        self._scorer = scorer

    def scores(self, rows: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float32]]:
        """Yields log-probabilities of shape (pieces, labels) for each row of at most ``room`` pieces."""
        before = self.tokenizer.before
        framed = [self.tokenizer.framed(row) for row in rows]
        for row, scores in zip(rows, self._scorer.scores(framed), strict=True):
            yield scores[before : before + len(row)]


def open_model(folder: Path, *, threads: int = 0) -> TokenModel:
    """Opens the token classifier in a folder; ``threads`` 0 takes all processors.

    Raises ArtifactError where the folder holds none, or not all of it.
    """
    config, labels = read_config(folder), read_labels(folder)
    tokenizer = PieceTokenizer.open(folder)  # before the weights, whose loading takes long
    scorer = OpenVinoScorer.open(folder, config, threads=threads)
    if scorer is not None:
        return TokenModel(tokenizer, labels, scorer, engine="openvino")
    return TokenModel(tokenizer, labels, TorchScorer(folder, threads=threads), engine="torch")


def read_labels(folder: Path) -> tuple[str, ...]:
    """Returns the labels in the ``config.json`` of a folder, in the order of their numbers."""
    table = read_config(folder).get("id2label")
    if not isinstance(table, dict) or set(table) != {str(number) for number in range(len(table))}:
        raise ArtifactError(
            f"{folder / 'config.json'} names no labels",
            hint="write them as its id2label, or train the encoder with dirag train token-classifier",
        )
    return tuple(str(table[str(number)]) for number in range(len(table)))
