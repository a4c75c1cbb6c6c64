"""Plain transformers folders as sentence encoders: poolings against transformers, limits, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedder_laws import check_embedder

from dirag.encoders.bert_torch import Pooled
from dirag.encoders.opening import identity, open_encoder
from dirag.encoders.sentence import SentenceEncoder
from dirag.errors import ArtifactError, UsageError

Vectors = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

WORDS = ["<pad>", "<unk>", "<s>", "</s>", "asthma", "fever", "of", "the", "lung", "no", "p53", "mg"]
TEXTS = ["Asthma of the lung", "", "no fever", "FEVER " * 40, "p53 unknown mg"]
POOLINGS = ("mean", "cls", "pooler")
#: The settings of each tiny model, and the places that it has for tokens.
SHAPES: dict[str, dict[str, Any]] = {
    "Bert": {"max_position_embeddings": 64},
    "Roberta": {"max_position_embeddings": 66},
    "ModernBert": {"max_position_embeddings": 8192, "global_attn_every_n_layers": 2, "local_attention": 8},
}


def save(folder: Path, kind: str, *, pooler: bool = True, prefix: str = "") -> Path:
    """A folder with a model of random weights and a tokenizer of words, as transformers saves them."""
    torch = pytest.importorskip("torch")
    import transformers
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>"
    )
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
        **SHAPES[kind],
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")(config)
    for weights in model.parameters():
        weights.data += 0.3 * torch.randn_like(weights)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = folder / "model.safetensors"
    kept = {prefix + name: w for name, w in load_file(file).items() if pooler or "pooler" not in name}
    save_file(kept, file, metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made = {kind: save(tmp_path_factory.mktemp("plain") / kind, kind) for kind in SHAPES}
    return made.__getitem__


def reference(folder: Path, pooling: str, texts: Sequence[str], limit: int) -> Vectors:
    """One text at a time, without padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        with torch.no_grad():
            output = model(**tokenizer(text, truncation=True, max_length=limit, return_tensors="pt"))
        hidden = output.last_hidden_state[0]
        row = {"mean": hidden.mean(0), "cls": hidden[0]}.get(pooling)
        rows.append((output.pooler_output[0] if row is None else row).numpy())
    vectors = np.array(rows, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@pytest.mark.parametrize(
    "kind, pooling", [(kind, p) for kind in SHAPES for p in POOLINGS if (kind, p) != ("ModernBert", "pooler")]
)
def test_a_pooling_is_that_of_transformers(folder: Callable[[str], Path], kind: str, pooling: str) -> None:
    encoder = SentenceEncoder(folder(kind), pooling=pooling)
    np.testing.assert_allclose(encoder.embed(TEXTS), reference(folder(kind), pooling, TEXTS, 64), atol=2e-5)
    check_embedder(encoder, TEXTS)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_plain_folder_is_pooled_by_the_mean(folder: Callable[[str], Path], kind: str) -> None:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceEncoder(folder(kind))
    assert encoder.name == SentenceEncoder(folder(kind), pooling="mean").name
    model = SentenceTransformer(str(folder(kind)), device="cpu", local_files_only=True)
    expected = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(encoder.embed(TEXTS), expected, atol=2e-5)


def test_each_pooling_has_an_identity_of_its_own(folder: Callable[[str], Path]) -> None:
    names = [identity(SentenceEncoder(folder("Bert"), pooling=p).name) for p in ("auto", *POOLINGS)]
    assert names[0] == names[1]
    assert len(set(names)) == 3


@pytest.mark.parametrize("kind, limit", [("Bert", 64), ("Roberta", 65), ("ModernBert", 8192)])
def test_a_text_is_read_up_to_the_places_of_the_model(
    folder: Callable[[str], Path], kind: str, limit: int
) -> None:
    encoder = Pooled(folder(kind), pooling="mean")
    assert encoder.limit == limit
    inside = "fever " * (limit - 3)
    longer, cut = encoder.embed([inside + "lung" + " mg" * 20, inside])
    assert np.abs(longer - cut).max() > 1e-5  # "lung" has the last place
    if kind != "ModernBert":
        [whole] = encoder.embed([inside + "lung"])
        np.testing.assert_allclose(longer, whole, atol=1e-5)


def test_a_pooler_that_was_not_trained_is_refused(folder: Callable[[str], Path], tmp_path: Path) -> None:
    bare = save(tmp_path / "bare", "Bert", pooler=False)
    for path in (bare, folder("ModernBert")):
        with pytest.raises(ArtifactError, match=r"no trained pooler.*--pooling cls"):
            SentenceEncoder(path, pooling="pooler")
    np.testing.assert_array_equal(
        SentenceEncoder(bare, pooling="cls").embed(TEXTS),
        SentenceEncoder(folder("Bert"), pooling="cls").embed(TEXTS),
    )


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"lack \d+ parts of the model"):
        SentenceEncoder(save(tmp_path / "other", "Bert", prefix="other."))


def test_the_hash_encoder_takes_no_pooling() -> None:
    with pytest.raises(UsageError, match="takes no --pooling cls"):
        open_encoder("hash", pooling="cls")
