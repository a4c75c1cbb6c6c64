"""A Llama with two narrow layers and weights by chance: as a folder of transformers and as a GGUF file."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dirag.backends.vocabulary import _bytes_of_signs

HEADS, KV_HEADS, WIDTH, LAYERS, CONTEXT = 4, 2, 64, 2, 2048
CONTROL = "<|endoftext|>"


def tokens() -> list[str]:
    """Every byte, two common pairs, and a control token."""
    return [*_bytes_of_signs(), "Ġa", "in", CONTROL]


def tokenizer() -> PreTrainedTokenizerFast:
    numbers = {token: number for number, token in enumerate(tokens()[:-1])}
    made = Tokenizer(models.BPE(vocab=numbers, merges=[("Ġ", "a"), ("i", "n")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=CONTROL, bos_token=CONTROL)


def write(folder: Path, *, seed: int = 0) -> tuple[Path, Path]:
    """The folder and the GGUF file of the model, below ``folder``."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokens()),
        hidden_size=WIDTH,
        intermediate_size=96,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=CONTEXT,
        initializer_range=0.2,
        bos_token_id=len(tokens()) - 1,
        eos_token_id=len(tokens()) - 1,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).half().float()
    model.save_pretrained(folder / "tiny")
    tokenizer().save_pretrained(folder / "tiny")
    _write_gguf(folder / "tiny.gguf", model)
    return folder / "tiny", folder / "tiny.gguf"


def _write_gguf(path: Path, model: LlamaForCausalLM) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    config = model.config
    writer.add_file_type(1)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens()))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens())
    writer.add_token_types([1] * (len(tokens()) - 1) + [3])
    writer.add_token_merges(["Ġ a", "i n"])
    writer.add_bos_token_id(len(tokens()) - 1)
    writer.add_eos_token_id(len(tokens()) - 1)
    writer.add_add_bos_token(False)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    for name, tensor in model.state_dict().items():
        values = tensor.float().numpy()
        if name == "lm_head.weight":
            continue
        if "q_proj" in name:
            values = _permuted(values, HEADS)
        if "k_proj" in name:
            values = _permuted(values, KV_HEADS)
        kind = np.float16 if values.ndim == 2 else np.float32
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), values.astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """Row by row as llama.cpp's rotary embedding wants them: pairs side by side, not half a head apart."""
    size = len(rows) // heads
    half = size // 2
    order = [head * size + part * half + i for head in range(heads) for i in range(half) for part in (0, 1)]
    return rows[order]
