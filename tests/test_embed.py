"""Laws of the encoders, and our BERT against sentence-transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from embedder_laws import check_embedder
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.encoders.bert_graph import BertGraph, BertShape, compile_model, read_weights
from dirag.encoders.bert_openvino import _BATCH_TOKENS, Bert, batches
from dirag.encoders.hashing import HashEmbedder
from dirag.encoders.opening import identity, open_encoder
from dirag.encoders.sentence import SentenceEncoder
from dirag.errors import ArtifactError

TEXTS = [
    "Mutations in the ataxia - telangiectasia gene cause a recessive disorder .",
    "Asthma",
    "She denies chest pain; troponin 0.04 ng/mL (µ = 2), naïve T cells 😀.",
    "İ",
    "  ",
    "BRCA1 " * 400,
]
#: What no tokenizer takes.
SURROGATES = ["gout\ud800 and\udfff asthma", "\udc80"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=40), max_size=5), st.sampled_from([8, 1024]))
def test_hash_embedder_keeps_the_laws(texts: list[str], dimension: int) -> None:
    check_embedder(HashEmbedder(dimension=dimension), texts)


def test_hash_embedder_is_lexical() -> None:
    query, near, far = HashEmbedder().embed(
        ["Breast cancer in carriers", "hereditary breast cancers in a carrier", "troponin was not elevated"]
    )
    assert query @ near > 0.4 > query @ far


def test_hash_embedder_does_not_depend_on_the_process() -> None:
    code = (
        "from dirag.encoders import hashing as h; print(h.HashEmbedder().embed(['asthma']).tobytes().hex())"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert other.stdout.strip() == HashEmbedder().embed(["asthma"]).tobytes().hex()


@settings(deadline=None)
@given(st.lists(st.integers(1, 600)))
def test_batches_hold_each_text_once(lengths: list[int]) -> None:
    made = batches(lengths)
    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= _BATCH_TOKENS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights, saved as sentence-transformers saves one, with mean pooling."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    (folder / "1_Pooling").mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.;()-"]
    vocabulary += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    tokenizer = BertWordPieceTokenizer({word: i for i, word in enumerate(vocabulary)}, lowercase=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = BertModel(config, add_pooling_layer=False)
    # Weights as they are initialised are near zero: larger ones let a wrong term show.
    weights = {name: tensor + 0.3 * torch.randn_like(tensor) for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    files: dict[str, object] = {
        "config.json": config.to_dict() | {"architectures": ["BertModel"]},
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "model_max_length": 64},
        "sentence_bert_config.json": {"max_seq_length": 48, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ],
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def altered(folder: Path, name: str, content: object, to: Path) -> Path:
    """A copy of an encoder with one file written anew."""
    for file in folder.rglob("*.*"):
        target = to / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    (to / name).write_text(json.dumps(content))
    return to


def reference(folder: Path, texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = model.encode(
        list(texts), normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


CLS = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
LARGEST = {"word_embedding_dimension": 32, "pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}


@pytest.mark.parametrize("pooling", [None, CLS, {"embedding_dimension": 32, "pooling_mode": "cls"}])
def test_our_bert_is_sentence_transformers(
    pooling: dict[str, object] | None, tiny: Path, tmp_path: Path
) -> None:
    folder = altered(tiny, "1_Pooling/config.json", pooling, tmp_path / "other") if pooling else tiny
    encoder = Bert.open(folder)
    assert encoder is not None
    np.testing.assert_allclose(encoder.embed(TEXTS), reference(folder, TEXTS), atol=2e-5)
    check_embedder(SentenceEncoder(folder), [*TEXTS, *SURROGATES])


def test_the_last_hidden_states_are_those_of_transformers(tiny: Path) -> None:
    torch = pytest.importorskip("torch")
    from transformers import BertModel

    shape = BertShape.of(json.loads((tiny / "config.json").read_text()))
    weights = read_weights(tiny / "model.safetensors")
    assert shape is not None
    assert weights is not None
    graph = BertGraph(weights, shape)
    compiled = compile_model(graph.model(graph.last_hidden_states()))
    ids = np.array([[2, 7, 8, 9, 3], [2, 11, 3, 0, 0]], np.int32)
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.float32)
    hidden = compiled({"input_ids": ids, "attention_mask": mask})[0]
    model = BertModel.from_pretrained(tiny, add_pooling_layer=False).eval()
    with torch.inference_mode():
        expected = model(torch.tensor(ids.astype(np.int64)), torch.tensor(mask)).last_hidden_state.numpy()
    tokens = mask.astype(bool)
    np.testing.assert_allclose(hidden[tokens], expected[tokens], atol=2e-5)


def test_what_our_bert_does_not_compute_goes_to_sentence_transformers(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = altered(tiny, "1_Pooling/config.json", LARGEST, tmp_path / "largest")
    assert Bert.open(folder) is None
    encoder = SentenceEncoder(folder)
    assert capfd.readouterr() == ("", "")
    check_embedder(encoder, [*TEXTS, *SURROGATES])
    np.testing.assert_allclose(encoder.embed(TEXTS), reference(folder, TEXTS), atol=1e-5)
    assert encoder.name != SentenceEncoder(tiny).name


@pytest.mark.parametrize(
    "name, content",
    [
        ("sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": True}),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}),
        ("modules.json", [{"type": "sentence_transformers.models.Transformer", "path": ""}]),
        ("config.json", {"model_type": "roberta", "hidden_act": "gelu"}),
        ("config.json", {"model_type": "bert", "hidden_act": "relu"}),
    ],
)
def test_our_bert_declines_other_settings(name: str, content: object, tiny: Path, tmp_path: Path) -> None:
    assert Bert.open(altered(tiny, name, content, tmp_path / "other")) is None


def test_the_identity_is_of_the_content(tiny: Path, tmp_path: Path) -> None:
    copy = altered(tiny, "README.json", {}, tmp_path / "moved")
    assert SentenceEncoder(copy).name.startswith("moved@")
    assert identity(SentenceEncoder(copy).name) == identity(SentenceEncoder(tiny).name)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-3000] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert identity(SentenceEncoder(copy).name) != identity(SentenceEncoder(tiny).name)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a sentence-transformers model"):
        SentenceEncoder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"config\.json"):
        SentenceEncoder(tmp_path)
    with pytest.raises(ArtifactError):
        open_encoder(str(tmp_path / "none" / "such"))


@pytest.mark.parametrize("name, content", [("config.json", None), ("1_Pooling/config.json", LARGEST)])
def test_damaged_weights_are_refused(name: str, content: object, tiny: Path, tmp_path: Path) -> None:
    content = content or json.loads((tiny / name).read_text())
    folder = altered(tiny, name, content, tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(ArtifactError, match="damaged"):
        SentenceEncoder(folder)


def test_encoders_are_found_by_name() -> None:
    assert isinstance(open_encoder("hash"), HashEmbedder)


@pytest.mark.weights
def test_minilm_is_sentence_transformers_without_its_imports(weights: Callable[[str], Path]) -> None:
    folder = weights("all-minilm-l6-v2")
    encoder = SentenceEncoder(folder)
    np.testing.assert_allclose(encoder.embed(TEXTS), reference(folder, TEXTS), atol=1e-5)
    check_embedder(encoder, [*TEXTS[:4], *SURROGATES])
    code = (
        "import sys, pathlib; from dirag.encoders.sentence import SentenceEncoder\n"
        f"SentenceEncoder(pathlib.Path({str(folder)!r})).embed(['asthma'])\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
