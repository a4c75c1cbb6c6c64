"""Tunes a sentence encoder to the names of a knowledge base, after SapBERT and HiPrBERT.

In: a built base with vectors, and an encoder. Out: a sentence-transformers folder that ``kb build --encoder``
takes, with a ``card.json`` that records what made it, and the recall of held-out names before and after. A
tuning that was killed goes on when it is repeated; the folder appears whole or not at all.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.encoders import sentence
from dirag.encoders.opening import identity, open_encoder
from dirag.encoders.sentence import SentenceEncoder
from dirag.errors import KnowledgeError, UsageError
from dirag.files import artifacts, atomic, fingerprint, libraries
from dirag.knowledge.index import dense, encoding
from dirag.knowledge.store.store import Store
from dirag.training.device import PRECISIONS, precision
from dirag.training.sentence_encoder import fitting, recall, synonyms

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from dirag.knowledge.index.dense import Dense
    from dirag.protocols import Embedder
    from dirag.training.sentence_encoder.recall import Recall
    from dirag.training.sentence_encoder.synonyms import Batch, SynonymSplit

CARD = "card.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``steps`` of about ``batch`` names each, or else ``epochs`` over the names; ``rate`` is the highest.

    ``hold_out`` is the share of the synonyms that are asked for at the end, ``names`` restricts everything
    to so many names, and ``length`` is where these are cut while training, in tokens. ``precision`` is one of
    ``PRECISIONS``.
    """

    steps: int | None = None
    epochs: float = 0.25
    batch: int = 192
    rate: float = 5e-5
    seed: int = 0
    hold_out: float = 0.02
    names: int | None = None
    length: int = 24
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, fits in (
            ("steps", self.steps is None or self.steps > 0),
            ("epochs", 0 < self.epochs < math.inf),
            ("batch", self.batch > 1),
            ("rate", 0 < self.rate < 1),
            ("seed", self.seed >= 0),
            ("hold_out", 0 <= self.hold_out < 1),
            ("names", self.names is None or self.names > 1),
            ("length", self.length > 2),
            ("precision", self.precision in PRECISIONS),
        ):
            if not fits:
                raise UsageError(f"{name} of the tuning cannot be {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class TuningReport:
    """Figures of a tuning; ``loss`` is the mean over the first tenth of the steps and over the last.

    ``before`` and ``after`` are the recall of the ``held_out`` names by their vectors alone, among
    ``searched`` names; None if nothing was held out.
    """

    concepts: int
    searched: int
    held_out: int
    steps: int
    seconds: float
    loss: tuple[float, float]
    before: Recall | None
    after: Recall | None


def tune(
    base: Path,
    output: Path,
    *,
    encoder: str = "all-minilm-l6-v2",
    options: Options | None = None,
    offline: bool = False,
    device: str = "cpu",
    command: str = "",
    progress: bool | None = None,
) -> TuningReport:
    """Tunes an encoder (a known name or a path) to the knowledge base ``base`` and writes it to ``output``.

    Hard negatives come from the dense index of the base. A tuned encoder that stands at ``output`` is
    replaced, anything else is refused. With ``progress`` None a meter is shown on a terminal only.
    """
    if output.exists() and not (output / CARD).is_file():
        raise UsageError(f"{output} exists and is no tuned encoder", hint="name a new folder")
    begun, options = time.monotonic(), options or Options()
    options = replace(options, precision=precision(options.precision))
    folder = artifacts.locate(encoder, offline=offline)
    embedder = SentenceEncoder(folder, device=device)
    tuning = _Tuning.prepare(Store(base), embedder, options, offline=offline)
    output.parent.mkdir(parents=True, exist_ok=True)
    before = tuning.recall_of(embedder, output, progress)
    model = _load(folder, device)
    losses = tuning.fit(model, output, progress)
    with atomic.new_folder(output) as part:
        _save(model, folder, part)
        # Of the folder as it was written, opened anew: what users will open, not what was trained in memory.
        after = tuning.recall_of(SentenceEncoder(part, device=device), output, progress)
        report = tuning.report(losses, before, after, seconds=time.monotonic() - begun)
        card = {"dirag": fingerprint.version(), "command": command} | tuning.card(folder, report)
        (part / CARD).write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    # Behind the rename: a run that is killed before goes on from its checkpoint.
    for checkpoint in output.parent.glob(f".{glob.escape(output.name)}.tuning-*"):
        checkpoint.unlink(missing_ok=True)  # those of tunings with other options too
    encoding.discard(output)
    return report


@dataclass(frozen=True, slots=True)
class _Tuning:
    """What a tuning works with: a base and its index, the encoder to tune, the names to learn and find."""

    store: Store
    index: Dense
    embedder: Embedder
    split: SynonymSplit
    options: Options

    @classmethod
    def prepare(cls, store: Store, embedder: Embedder, options: Options, *, offline: bool) -> _Tuning:
        index = _index(store, embedder, offline)
        split = synonyms.draw(store, hold_out=options.hold_out, limit=options.names, seed=options.seed)
        return cls(store, index, embedder, split, options)

    def recall_of(self, embedder: Embedder, output: Path, progress: bool | None) -> Recall | None:
        return recall.measure(self.store, self.split, embedder, output, index=self.index, progress=progress)

    def fit(self, model: SentenceTransformer, output: Path, progress: bool | None) -> list[float]:
        """Trains the model; returns the loss of each step."""
        options = self.options
        in_epoch = len(self.split.seeds) / synonyms.seeds_in(options.batch)
        hyperparameters = fitting.Hyperparameters(
            steps=options.steps or math.ceil(options.epochs * in_epoch),
            rate=options.rate,
            length=options.length,
            precision=options.precision,
        )
        return fitting.fit(model, self._batches, hyperparameters, self._checkpoint(output), progress=progress)

    def report(
        self, losses: Sequence[float], before: Recall | None, after: Recall | None, *, seconds: float
    ) -> TuningReport:
        tenth = max(1, len(losses) // 10)
        return TuningReport(
            concepts=len(self.split.groups),
            searched=int(self.split.searched.sum()),
            held_out=len(self.split.held_out),
            steps=len(losses),
            seconds=seconds,
            loss=(sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth),
            before=before,
            after=after,
        )

    def card(self, folder: Path, report: TuningReport) -> dict[str, object]:
        """Returns what made the encoder, begun with the one in ``folder``, and what it is worth."""
        manifest = self.store.manifest
        weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
        sources = [{"name": s.name, "sha256": s.sha256, "licence": s.licence} for s in manifest.sources]
        return {
            "base": {
                "sources": sources,
                "concepts": manifest.concepts,
                "names": manifest.names,
                "index": manifest.encoder,
            },
            "encoder": {
                "name": self.embedder.name,
                "sha256": {path.name: fingerprint.sha256(path) for path in weights},
            },
            "options": asdict(self.options),
            "report": asdict(report),
        }

    def _batches(self, start: int) -> Iterator[Batch]:
        size, seed = self.options.batch, self.options.seed
        return synonyms.batches(self.store, self.split, self._neighbours, size=size, seed=seed, start=start)

    def _neighbours(self, names: Sequence[str]) -> list[list[int]]:
        """Returns the concepts of the names in the index that are nearest to each name, nearest first."""
        vectors = self.index.embedder.embed(names)
        keys, _ = self.index.search(vectors, limit=recall.NEAREST, allowed=self.split.searched)
        return [recall.concepts_of(self.store, row) for row in keys.tolist()]

    def _checkpoint(self, output: Path) -> Path:
        """Returns the path of the checkpoint: with another base, encoder or option it is another file."""
        files = {name: file.sha256 for name, file in self.store.manifest.files.items()}
        provenance = json.dumps([files, identity(self.embedder.name), asdict(self.options)], sort_keys=True)
        digest = hashlib.sha256(provenance.encode()).hexdigest()[:16]
        return output.with_name(f".{output.name}.tuning-{digest}")


def _index(store: Store, embedder: Embedder, offline: bool) -> Dense:
    """Opens the dense index of the base, with the encoder that made it, which need not be the one to tune."""
    info = dense.read_info(store.manifest.extra)
    if info is None:
        raise KnowledgeError(
            f"{store.folder} has no vectors, among which to look for names that are easily confused",
            hint="build it with kb build --encoder",
        )
    if identity(info.encoder) != identity(embedder.name):
        embedder = open_encoder(info.opened_as, offline=offline)
    return dense.open_index(store.folder, info, embedder)


def _load(folder: Path, device: str) -> SentenceTransformer:
    """Loads the model to train; weights that the folder lacks (BERT's pooler) are alike in every run."""
    import torch

    # A random pooler would change the digest of the weights, and so the encoder's identity, from run to run.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return sentence.load_model(folder, device)


def _save(model: SentenceTransformer, source: Path, folder: Path) -> None:
    """Writes the model, the tokenizer's files as they were, and the limit where every version reads it."""
    with libraries.quiet():
        model.save(str(folder), create_model_card=False)
    # transformers writes a tokenizer anew in the form of its version, and may drop what older ones read.
    for pattern in ("tokenizer*", "vocab*", "special_tokens_map.json"):
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    settings = folder / "sentence_bert_config.json"
    if settings.is_file():
        table = json.loads(settings.read_bytes())
        settings.write_text(
            json.dumps(table | {"max_seq_length": model.max_seq_length}, indent=1) + "\n", "utf-8"
        )
