"""Whether an adapter says the same everywhere: its PEFT form in transformers, its GGUF form in the engines.

    python -m tests.benchmarks.adapters ADAPTER [--dataset NAME] [--limit 500] [--model FILE]

ADAPTER is a folder of ``dirag train adapter``. All answer the same prompts, without a constraint, by the
likeliest token. transformers computes in float32 with the values that the quantised file stands for.
llama.cpp runs a file of the same values in float32, where only the conversion can differ, and the file as it
is, where rounding within the engine does; so does OpenVINO. Printed: the share of answers that are the same.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dirag.assembly import engines, tagging
from dirag.backends import gguf_files, gguf_tokenizer
from dirag.config import MODEL, Config, configure
from dirag.corpora import datasets
from dirag.data import Prompt
from dirag.files.artifacts import locate
from dirag.training.adapter import model


def in_float32(path: Path, target: Path) -> Path:
    """The same model with the values that its weights stand for."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    reader = gguf_files.open(path)
    values = ((t.name, dequantize(t.data, t.tensor_type), GGMLQuantizationType.F32) for t in reader.tensors)
    gguf_files.write(reader, target, values)
    return target


def by_engine(config: Config, texts: Sequence[str], types: Sequence[str]) -> tuple[list[Prompt], list[str]]:
    """The prompts for the texts, and the answers to them."""
    with closing(engines.backend(config)) as engine:
        builder = tagging.builder(config, types, context=engine.context, count=engine.count_tokens)
        built = [builder.build(text, examples=())[0] for text in texts]
        prompts = [prompt for prompt in built if prompt is not None]
        return prompts, [completion.text for completion in engine.generate(prompts)]


def by_transformers(path: Path, adapter: Path, prompts: Sequence[Prompt]) -> list[str]:
    """The same of the adapter's PEFT form."""
    import torch
    from peft import PeftModel
    from tokenizers.decoders import ByteLevel

    base = model.load(path, precision="float32", device="cpu")
    adapted = PeftModel.from_pretrained(base, adapter).eval()
    end = adapted.config.eos_token_id
    result: list[str] = []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        gguf_tokenizer.convert(gguf_files.open(path), path, Path(folder))
        read = gguf_tokenizer.load(Path(folder))
        read.tokenizer.decoder = ByteLevel()
        for prompt in prompts:
            step, past = torch.tensor([read.encode(prompt.text)]), None
            written: list[int] = []
            while len(written) < prompt.max_tokens:
                seen = adapted(input_ids=step, past_key_values=past, use_cache=True)
                step, past = seen.logits[:, -1:].argmax(-1), seen.past_key_values
                written.append(int(step))
                text = read.tokenizer.decode(written)
                if written[-1] == end or any(stop in text for stop in prompt.stop):
                    break
            for stop in prompt.stop:
                text = text.partition(stop)[0]
            result.append(text)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--dataset", default="ncbi-disease")
    parser.add_argument("--data-dir")
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    dataset = datasets.load(args.dataset, split="test", data_dir=args.data_dir)
    texts = [document.text for document in datasets.sample(dataset.documents, args.limit)]
    config = configure(adapter=str(args.adapter), constrain=False, shots=0, offline=True)
    path = args.model or locate(MODEL, offline=True)
    with tempfile.TemporaryDirectory() as folder:
        full = in_float32(path, Path(folder) / "float32.gguf")
        answers = {}
        for name, backend, file in (
            ("llama.cpp, float32", "llamacpp", full),
            ("llama.cpp, as it is", "llamacpp", path),
            ("OpenVINO, as it is", "openvino", path),
        ):
            prompts, answers[name] = by_engine(
                replace(config, backend=backend, model=str(file)), texts, dataset.types
            )
    expected = by_transformers(path, args.adapter, prompts)
    print(f"of {len(expected)} answers the same as those of transformers and PEFT")
    for name, given in answers.items():
        same = sum(one.strip() == two.strip() for one, two in zip(expected, given, strict=True))
        print(f"{name:20} {same / len(expected):.4f}  ({len(expected) - same} others)")


if __name__ == "__main__":
    main()
