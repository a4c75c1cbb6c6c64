"""Token classifiers of many makes with small random weights, each with a tokenizer of its own kind.

The tokenizers are trained on the spot, by the library that trains real ones, on text of four languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

LABELS = ("O", "B-Disease", "I-Disease", "B-Chemical", "I-Chemical")
_SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
}
#: Architecture -> kind of tokenizer, and what its config has beside the sizes.
ARCHITECTURES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "bert": ("wordpiece", {}),
    "electra": ("wordpiece", {"embedding_size": 32}),
    "roberta": ("bytes", {}),
    "camembert": ("unigram", {}),
    "xlm-roberta": ("unigram", {}),
    "deberta-v2": ("unigram", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    "modernbert": ("bytes", {"global_attn_every_n_layers": 2, "local_attention": 16}),
    "longformer": ("bytes", {"attention_window": [16, 16]}),
}
TEXT = (
    "A 64-year-old man with type 2 diabetes mellitus took 5 mg of lisinopril for hypertension (BP 118/66).",
    "Un homme de 64 ans, diabétique, s'est présenté avec une douleur thoracique et de la fièvre.",
    "Paciente varón de 64 años con diabetes mellitus tipo 2 e hipertensión arterial; tomó ácido fólico.",
    "Der 64-jährige Patient mit Diabetes mellitus Typ 2 klagte über Übelkeit und nahm Acetylsalicylsäure.",
    "IL-2-induced p53 expression in CD4+ T cells; β-catenin was not changed, p<0.05.",
)


def write(folder: Path, architecture: str, *, seed: int = 0, scale: float = 6.0, **changes: Any) -> Path:
    """Writes a folder as ``AutoModelForTokenClassification`` opens it; ``changes`` are for its config.

    Weights are ``scale`` times those that a model begins with: as they come, they are so small that every
    label is as good as the others.
    """
    import torch
    from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedTokenizerFast

    kind, settings = ARCHITECTURES[architecture]
    tokenizer = _TOKENIZERS[kind]()
    ids = {name: tokenizer.token_to_id(token) for name, token in _SPECIAL[kind].items()}
    config = AutoConfig.for_model(
        architecture,
        **(
            _SIZE
            | {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": ids["pad_token"]}
            | dict(settings)
            | changes
        ),
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        bos_token_id=ids["cls_token"],
        eos_token_id=ids["sep_token"],
    )
    torch.manual_seed(seed)
    model = AutoModelForTokenClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    model.save_pretrained(folder)
    places = config.max_position_embeddings - (
        0 if kind == "wordpiece" or architecture == "modernbert" else 2
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=places, **_SPECIAL[kind])
    fast.save_pretrained(folder)
    return folder


def write_gazetteer(folder: Path, words: Mapping[str, str]) -> Path:
    """Writes a BERT that gives a word its label whatever stands around it, and every other word "O"."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    write(folder, "bert")
    model = AutoModelForTokenClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "output.dense" in name or "position_embeddings" in name or "classifier" in name:
                parameter.zero_()
        for word, label in words.items():
            encoded = tokenizer(word, return_tensors="pt")
            state = model.bert(input_ids=encoded["input_ids"]).last_hidden_state[0, 1]
            model.classifier.weight[LABELS.index(label)] = 50 * state / state.dot(state)
            model.classifier.bias[LABELS.index(label)] = -45
    model.save_pretrained(folder)
    return folder


_KINDS = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
_SPECIAL: Mapping[str, Mapping[str, str]] = {
    "wordpiece": dict(zip(_KINDS, ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"), strict=True)),
    "bytes": dict(zip(_KINDS, ("<unk>", "<s>", "</s>", "<pad>", "<mask>"), strict=True)),
    "unigram": dict(zip(_KINDS, ("<unk>", "<s>", "</s>", "<pad>", "<mask>"), strict=True)),
}
_RESERVED = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _wordpiece() -> Any:
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(TEXT, vocab_size=400, min_frequency=1, show_progress=False)
    inner = tokenizer._tokenizer
    _frame(inner, "[CLS]", "[SEP]")
    return inner


def _bytes() -> Any:
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        TEXT, vocab_size=500, min_frequency=1, show_progress=False, special_tokens=_RESERVED
    )
    _frame(tokenizer._tokenizer, "<s>", "</s>")
    return tokenizer._tokenizer


def _unigram() -> Any:
    from tokenizers import SentencePieceUnigramTokenizer

    tokenizer = SentencePieceUnigramTokenizer()
    tokenizer.train_from_iterator(
        TEXT, vocab_size=300, show_progress=False, special_tokens=_RESERVED, unk_token="<unk>"
    )
    _frame(tokenizer._tokenizer, "<s>", "</s>")
    return tokenizer._tokenizer


def _frame(tokenizer: Any, before: str, behind: str) -> None:
    from tokenizers.processors import TemplateProcessing

    numbers = [(token, tokenizer.token_to_id(token)) for token in (before, behind)]
    tokenizer.post_processor = TemplateProcessing(single=f"{before} $A {behind}", special_tokens=numbers)


_TOKENIZERS = {"wordpiece": _wordpiece, "bytes": _bytes, "unigram": _unigram}
