"""Pools of annotated examples: documents in, sentences with their entities out, stored in a directory.

A pool directory holds ``manifest.json``, ``examples.jsonl`` and, if it was built with an encoder,
``vectors.npy``. Refused: a directory whose parts do not fit together, and vectors of another encoder.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from dirag.data import Document, Result, Segment
from dirag.encoders import vector_files as stored
from dirag.encoders.opening import identity
from dirag.errors import ExamplesError
from dirag.files import atomic, fingerprint
from dirag.formats import jsonl
from dirag.text.language import Language, english

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.examples.quality import QualityFilter
    from dirag.protocols import Embedder

SCHEMA = 1
#: The reason under which sentences that :func:`cut` refuses are counted.
CUT = "sentences that cut a mention"
MANIFEST, EXAMPLES, VECTORS = "manifest.json", "examples.jsonl", "vectors.npy"


@dataclass(frozen=True, slots=True)
class PoolManifest:
    """The contents and sources of a pool; ``left_out`` counts by reason what did not become an example."""

    sha256: str
    examples: int
    types: Mapping[str, int]
    left_out: Mapping[str, int]
    sources: tuple[str, ...] = ()
    licence: str | None = None
    encoder: str | None = None
    dimension: int | None = None
    dirag: str = ""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Pool:
    """Examples, one sentence each; ``vectors`` has a row an example, or is None without an encoder."""

    examples: tuple[Document, ...]
    manifest: PoolManifest
    vectors: NDArray[np.float32] | None = None

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        *,
        sources: Sequence[str] = (),
        licence: str | None = None,
        as_sentences: bool = False,
        quality: QualityFilter | None = None,
        language: Language | None = None,
    ) -> Pool:
        """Makes a pool in memory, without vectors; ``as_sentences`` takes each document as one sentence.

        ``quality`` leaves out sentences by their paragraphs. Without a ``language`` documents are English.
        """
        left_out: Counter[str] = Counter()
        sentences = partial(_sentences, left_out=left_out, language=language or english(), quality=quality)
        examples = tuple(e for d in documents for e in sentences(d, as_sentences=as_sentences))
        manifest = PoolManifest(
            sha256=hashlib.sha256(_dumps(examples)).hexdigest(),
            examples=len(examples),
            types=_types(examples),
            left_out=dict(sorted(left_out.items())),
            sources=tuple(sources),
            licence=licence,
            dirag=fingerprint.version(),
        )
        return cls(examples, manifest)

    def restricted(self, types: Sequence[str]) -> Pool:
        """Returns the pool with the entities of these types only; raises ExamplesError where it has none."""
        if not set(types) & self.manifest.types.keys():
            raise ExamplesError(
                f"the example pool has no entities of type {', '.join(types)}",
                hint=f"its types: {', '.join(self.manifest.types) or 'none'}; give another --pool",
            )
        examples = tuple(restrict(example, types) for example in self.examples)
        return replace(self, examples=examples)

    def embedded(self, embedder: Embedder, *, cache: bool = True) -> Pool:
        """Returns the pool with vectors of this encoder: its own, cached ones, or new ones, which are cached.

        Raises ExamplesError where the pool was built with another encoder.
        """
        if self.vectors is not None:
            _check_encoder(self.manifest, embedder)
            return self
        texts = [example.text for example in self.examples]
        vectors = stored.cached(texts, embedder) if cache else embedder.embed(texts)
        manifest = replace(self.manifest, encoder=embedder.name, dimension=embedder.dimension)
        return Pool(self.examples, manifest, vectors)


def build(
    documents: Iterable[Document],
    path: Path,
    *,
    embedder: Embedder | None,
    sources: Sequence[str] = (),
    licence: str | None = None,
    as_sentences: bool = False,
    quality: QualityFilter | None = None,
    language: Language | None = None,
) -> Pool:
    """Builds a pool directory, complete or not at all; a pool that is there already is replaced."""
    if path.exists() and not (path / MANIFEST).is_file():
        raise ExamplesError(f"{str(path)!r} exists and is not an example pool", hint="give another -o")
    pool = Pool.from_documents(
        documents,
        sources=sources,
        licence=licence,
        as_sentences=as_sentences,
        quality=quality,
        language=language,
    )
    if not pool.examples:
        lost = ", ".join(f"{count} {reason}" for reason, count in pool.manifest.left_out.items())
        raise ExamplesError(
            f"no example in the corpus for {str(path)!r}", hint=f"left out: {lost or 'nothing'}"
        )
    if embedder is not None:
        pool = pool.embedded(embedder, cache=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.new_folder(path, private=True) as part:
            _write(pool, part)
    except OSError as error:
        raise ExamplesError(f"cannot write the pool {str(path)!r}: {error.strerror}") from error
    return open(path)


def open(path: Path) -> Pool:
    """Opens the pool in a directory, its vectors mapped into memory; raises ExamplesError where damaged."""
    manifest = _manifest(path)
    try:
        data = (path / EXAMPLES).read_bytes()
    except OSError as error:
        raise ExamplesError(f"the pool {str(path)!r} has no readable {EXAMPLES}", hint=_REBUILD) from error
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise _broken(path, f"{EXAMPLES} is not the file that the manifest describes (sha256)")
    examples = tuple(jsonl.read(data.splitlines(keepends=True), name=str(path / EXAMPLES), stem="example"))
    if len(examples) != manifest.examples:
        raise _broken(path, f"{len(examples)} examples, {manifest.examples} in the manifest")
    if manifest.encoder is None:
        return Pool(examples, manifest)
    vectors = stored.load(path / VECTORS)
    shape = (len(examples), manifest.dimension)
    if vectors is None or vectors.shape != shape:
        raise _broken(path, f"{VECTORS} is not a float32 array of {shape[0]} x {shape[1]}")
    return Pool(examples, manifest, vectors)


def is_pool(path: Path) -> bool:
    """Returns whether a directory is a pool, damaged or not."""
    return (path / MANIFEST).is_file() and (path / EXAMPLES).is_file()


def restrict(document: Document, types: Sequence[str]) -> Document:
    """Returns the document with the entities of these types only."""
    return replace(document, entities=tuple(entity for entity in document.entities if entity.type in types))


_REBUILD = "build it again with `dirag examples build`"


def _broken(path: Path, reason: str) -> ExamplesError:
    return ExamplesError(f"the pool {str(path)!r} is damaged: {reason}", hint=_REBUILD)


def _check_encoder(manifest: PoolManifest, embedder: Embedder) -> None:
    pool_encoder, encoder = manifest.encoder or "", embedder.name
    if identity(pool_encoder) != identity(encoder) or manifest.dimension != embedder.dimension:
        raise ExamplesError(
            f"the pool was built with the encoder {pool_encoder} ({manifest.dimension} dimensions), "
            f"not {encoder} ({embedder.dimension})",
            hint="give that encoder with --encoder, or build the pool again with this one",
        )


def _sentences(
    document: Document,
    *,
    left_out: Counter[str],
    language: Language,
    as_sentences: bool,
    quality: QualityFilter | None,
) -> Iterator[Document]:
    """Yields the sentences of a document as examples, but for bad paragraphs and what cuts a mention."""
    from dirag.text.segment import segments

    for issue in document.issues:
        left_out[f"documents {issue.code}" if not document.text.strip() else f"labels: {issue.code}"] += 1
    if not document.text.strip():
        return
    pieces = segments(document.text, language=language)
    # One piece is the whole document, with the blanks around it and the id that its corpus knows it by.
    is_whole = as_sentences or len(pieces) == 1
    if is_whole:
        pieces = [Segment(0, document.text)]
    reasons = quality.reasons(document.text, pieces, language=language) if quality else [""] * len(pieces)
    for piece, reason in zip(pieces, reasons, strict=True):
        if reason:
            left_out[reason] += 1
        elif is_whole:
            yield Document(document.id, document.text, document.entities)
        elif (sentence := cut(document, piece)) is None:
            left_out[CUT] += 1
        else:
            yield sentence


def cut(document: Document, piece: Segment) -> Document | None:
    """Returns the piece as a document with its entities; None where it would cut one in two."""
    touching = [e for e in document.entities if e.start < piece.end and e.end > piece.start]
    if any(e.start < piece.start or e.end > piece.end for e in touching):
        return None
    inside = tuple(replace(e, start=e.start - piece.start, end=e.end - piece.start) for e in touching)
    return Document(f"{document.id}:{piece.start}", piece.text, inside)


def _types(examples: Iterable[Document]) -> dict[str, int]:
    counts = Counter(entity.type for example in examples for entity in example.entities)
    return dict(sorted(counts.items()))


def _dumps(examples: Iterable[Document]) -> bytes:
    return b"".join(jsonl.dumps(Result(example, example.entities)) for example in examples)


def _write(pool: Pool, folder: Path) -> None:
    import numpy as np

    manifest = orjson.dumps(asdict(pool.manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    for name, data in ((EXAMPLES, _dumps(pool.examples)), (MANIFEST, manifest)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(data)
    if pool.vectors is not None:
        (folder / VECTORS).touch(mode=0o600)
        np.save(folder / VECTORS, pool.vectors, allow_pickle=False)


def _manifest(path: Path) -> PoolManifest:
    try:
        record = orjson.loads((path / MANIFEST).read_bytes())
    except OSError as error:
        raise ExamplesError(f"{str(path)!r} is not an example pool: no {MANIFEST}", hint=_REBUILD) from error
    except orjson.JSONDecodeError as error:
        raise _broken(path, f"{MANIFEST} is not JSON") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        seen = record.get("schema") if isinstance(record, dict) else None
        raise ExamplesError(f"the pool {str(path)!r} has schema {seen!r}, not {SCHEMA}", hint=_REBUILD)
    if set(record) != set(PoolManifest.__dataclass_fields__):
        raise _broken(path, f"{MANIFEST} does not have the keys of schema {SCHEMA}")
    return PoolManifest(**{**record, "sources": tuple(record["sources"])})
