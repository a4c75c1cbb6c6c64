"""A Llama with two narrow layers and weights by chance: as a folder of transformers and as a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import gguf.quants
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dirag.backends.gguf_tokenizer import _bytes_of_signs

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
    for name, values in gguf_tensors(model.state_dict()).items():
        writer.add_tensor(name, values.astype(np.float16 if values.ndim == 2 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def cut(path: Path, target: Path, *, blocks: int) -> None:
    """Write the first blocks of the model in a GGUF file, its weights as float32."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(target, "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            value = blocks if name == "llama.block_count" else field.contents()
            part = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, value, field.types[0], part)
    for tensor in reader.tensors:
        _, _, rest = tensor.name.rpartition("blk.")
        if not tensor.name.startswith("blk.") or int(rest.partition(".")[0]) < blocks:
            writer.add_tensor(tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_tensors(state: Mapping[str, torch.Tensor]) -> dict[str, NDArray[np.float32]]:
    """The tensors of the model as llama.cpp names and orders them."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
    made: dict[str, NDArray[np.float32]] = {}
    for name, tensor in state.items():
        if name != "lm_head.weight":  # which is the embedding
            heads = HEADS if "q_proj" in name else KV_HEADS if "k_proj" in name else 0
            values = tensor.float().numpy()
            made[str(names.get_name(name, try_suffixes=(".weight",)))] = (
                permuted(values, heads) if heads else values
            )
    return made


def permuted(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Row by row as llama.cpp's rotary embedding wants them: pairs side by side, not half a head apart."""
    size = len(rows) // heads
    half = size // 2
    order = [head * size + part * half + i for head in range(heads) for i in range(half) for part in (0, 1)]
    return rows[order]
