"""Fits a sentence encoder to the names of a knowledge base, after SapBERT and HiPrBERT.

In: a built base with vectors, and an encoder. Out: a sentence-transformers folder that ``kb build --encoder``
takes, with a ``card.json`` that says what made it, and the recall of names that were held out, before and
after. What is killed goes on where it was when it is repeated; the folder appears whole or not at all.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from dirag.encoders import sentence
from dirag.encoders.sentence import SentenceEncoder, identity, open_encoder
from dirag.errors import KnowledgeError, UsageError
from dirag.files import artifacts, atomic, fingerprint, paths
from dirag.knowledge.index import dense, encoding
from dirag.knowledge.store.store import Store
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
    to so many names, and ``length`` is where these are cut while training, in tokens. Recent
    processors compute twice as fast in the ``precision`` "bfloat16".
    """

    steps: int | None = None
    epochs: float = 0.25
    batch: int = 192
    rate: float = 5e-5
    seed: int = 0
    hold_out: float = 0.02
    names: int | None = None
    length: int = 24
    precision: fitting.Precision = "float32"

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
            ("precision", self.precision in get_args(fitting.Precision)),
        ):
            if not fits:
                raise UsageError(f"{name} of the tuning cannot be {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What tuning did; ``loss`` is the mean of the first tenth of the steps and of the last.

    ``before`` and ``after`` are of the ``held_out`` names by their vectors alone, among ``searched`` names;
    None where nothing was held out.
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
    """Tune an encoder (a known name or a path) to the knowledge base in ``base`` and write it to ``output``.

    Hard negatives come from the dense index of the base. A tuned encoder that stands at ``output`` is
    replaced, anything else is refused. ``progress``: None tells it on a terminal only.
    """
    options = options or Options()
    if output.exists() and not (output / CARD).is_file():
        raise UsageError(f"{output} exists and is no tuned encoder", hint="name a new folder")
    begun = time.monotonic()
    folder = artifacts.locate(encoder, offline=offline)
    store, embedder = Store(base), SentenceEncoder(folder, device=device)
    index = _index(store, embedder, offline)
    split = synonyms.draw(store, hold_out=options.hold_out, limit=options.names, seed=options.seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    before = recall.measure(store, split, embedder, output, index=index, progress=progress)
    model, checkpoint = _load(folder, device), _checkpoint(output, store, embedder, options)
    losses = _fit(model, store, split, index, options, checkpoint, progress)
    with atomic.new_folder(output) as part:
        _save(model, folder, part)
        tuned = SentenceEncoder(part, device=device)
        after = recall.measure(store, split, tuned, output, progress=progress)
        report = TuningReport(
            concepts=len(split.groups),
            searched=int(split.searched.sum()),
            held_out=len(split.held_out),
            steps=len(losses),
            seconds=time.monotonic() - begun,
            loss=_ends(losses),
            before=before,
            after=after,
        )
        card = _card(store, embedder, folder, options, report, command)
        (part / CARD).write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    for leftover in output.parent.glob(f".{glob.escape(output.name)}.tuning-*"):
        leftover.unlink(missing_ok=True)  # of abandoned options too
    encoding.discard(output)
    return report


def _index(store: Store, embedder: Embedder, offline: bool) -> Dense:
    """The dense index of the base, with the encoder that made it, which need not be the one to tune."""
    info = dense.read_info(store.manifest.extra)
    if info is None:
        raise KnowledgeError(
            f"{store.folder} has no vectors, among which to look for names that are easily confused",
            hint="build it with an encoder",
        )
    if identity(info.encoder) != identity(embedder.name):
        embedder = open_encoder(info.opened_as, offline=offline)
    return dense.open_index(store.folder, info, embedder)


def _load(folder: Path, device: str) -> SentenceTransformer:
    """The model to train; weights that the folder lacks, as BERT's pooler, are always made the same."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return sentence.load_model(folder, device)


def _fit(
    model: SentenceTransformer,
    store: Store,
    split: SynonymSplit,
    index: Dense,
    options: Options,
    checkpoint: Path,
    progress: bool | None,
) -> list[float]:
    def near(names: Sequence[str]) -> list[list[int]]:
        keys, _ = index.search(index.embedder.embed(names), limit=recall.NEAREST, allowed=split.searched)
        return [recall.concepts_of(store, row) for row in keys.tolist()]

    def batches(start: int) -> Iterator[Batch]:
        return synonyms.batches(store, split, near, size=options.batch, seed=options.seed, start=start)

    in_epoch = len(split.seeds) / synonyms.seeds_in(options.batch)
    steps = options.steps or math.ceil(options.epochs * in_epoch)
    hyperparameters = fitting.Hyperparameters(
        steps=steps,
        rate=options.rate,
        length=options.length,
        precision=options.precision,
    )
    return fitting.fit(model, batches, hyperparameters, checkpoint, progress=progress)


def _save(model: SentenceTransformer, source: Path, folder: Path) -> None:
    """Write the model, with the tokenizer's files as they were and the limit where every version reads it."""
    with paths.quiet():
        model.save(str(folder), create_model_card=False)
    for pattern in ("tokenizer*", "vocab*", "special_tokens_map.json"):
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    settings = folder / "sentence_bert_config.json"
    if settings.is_file():
        table = json.loads(settings.read_bytes())
        settings.write_text(
            json.dumps(table | {"max_seq_length": model.max_seq_length}, indent=1) + "\n", "utf-8"
        )


def _ends(losses: Sequence[float]) -> tuple[float, float]:
    size = max(1, len(losses) // 10)
    return sum(losses[:size]) / size, sum(losses[-size:]) / size


def _checkpoint(output: Path, store: Store, embedder: Embedder, options: Options) -> Path:
    """Where training is kept until it is done: of another base, encoder or option it is another file."""
    files = {name: file.sha256 for name, file in store.manifest.files.items()}
    made_of = json.dumps([files, identity(embedder.name), asdict(options)], sort_keys=True)
    return output.with_name(f".{output.name}.tuning-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}")


def _card(
    store: Store, embedder: Embedder, folder: Path, options: Options, report: TuningReport, command: str
) -> dict[str, object]:
    """What made an encoder, and what it is worth."""
    manifest = store.manifest
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    return {
        "dirag": fingerprint.version(),
        "command": command,
        "base": {
            "sources": [{"name": s.name, "sha256": s.sha256, "licence": s.licence} for s in manifest.sources],
            "concepts": manifest.concepts,
            "names": manifest.names,
            "index": manifest.encoder,
        },
        "encoder": {
            "name": embedder.name,
            "sha256": {path.name: fingerprint.sha256(path) for path in weights},
        },
        "options": asdict(options),
        "report": asdict(report),
    }
