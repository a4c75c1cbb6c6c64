"""What vLLM is handed and what is made of its answers, with a tokenizer of our own and a scripted engine."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import ModuleType, SimpleNamespace

import backend_laws as laws
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dirag.backends.vllm import start
from dirag.backends.vllm.engine import Vllm
from dirag.backends.vllm.tokenizer import VllmTokenizer
from dirag.data import Prompt, Usage
from dirag.errors import BackendError

END = "<|end|>"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and one control token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(END, special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token=END)


def output(
    tokenizer: PreTrainedTokenizerFast, written: str, text: str, finish: str, number: str = "0"
) -> SimpleNamespace:
    """What vLLM gives back: the tokens of ``written``, and the text as far as a stop string left it."""
    tokens = tokenizer.encode(written)
    places = [
        {
            99: SimpleNamespace(rank=1, logprob=-0.1, decoded_token="best"),
            token: SimpleNamespace(rank=7, logprob=-2.0, decoded_token="?"),
        }
        for token in tokens
    ]
    answer = SimpleNamespace(token_ids=tokens, text=text, finish_reason=finish, logprobs=places)
    return SimpleNamespace(request_id=number, outputs=[answer], num_cached_tokens=16, finished=True)


def test_control_tokens_in_a_note_are_text(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = VllmTokenizer(tokenizer).encode(f"a {END} β")
    assert tokenizer.eos_token_id not in tokens
    assert len(tokens) == len(f"a {END} β".encode())
    with pytest.raises(UnicodeEncodeError):
        VllmTokenizer(tokenizer).encode("a \ud800")


def test_a_tokenizer_that_cannot_is_refused() -> None:
    with pytest.raises(BackendError, match="control tokens"):
        VllmTokenizer(SimpleNamespace(is_fast=False))


@pytest.mark.parametrize(
    "written, text", [("gout; flu", "gout; flu"), ("β; 漢\n", "β; 漢"), ("gout\nText", "gout"), ("\n", "")]
)
def test_tokens_join_to_the_text(tokenizer: PreTrainedTokenizerFast, written: str, text: str) -> None:
    completion = VllmTokenizer(tokenizer, top=1).completion([5, 6], output(tokenizer, written, text, "stop"))
    assert completion.text == "".join(token.text for token in completion.tokens) == text
    assert completion.usage == Usage(2, len(written.encode()), 16)
    assert {token.logprob for token in completion.tokens} == {-2.0}
    assert {token.top for token in completion.tokens} == {(("best", -0.1),)}


def test_a_request_that_vllm_ended_is_failed(tokenizer: PreTrainedTokenizerFast) -> None:
    completion = VllmTokenizer(tokenizer).completion([5], output(tokenizer, "gout", "gout", "error"))
    assert (completion.finish, completion.text) == ("failed", "")
    assert "error" in completion.detail


# -- the stream of requests, over an engine that is scripted ---------------------------------------------


class Dead(Exception):
    """What vLLM raises when its process is gone."""


@dataclass
class Engine:
    """Ends requests in an odd order, ``room`` at a time; the answer to each is its own prompt."""

    tokenizer: PreTrainedTokenizerFast
    room: int = 4
    flying: dict[str, list[int]] = field(default_factory=dict)
    fullest: int = 0
    aborted: list[str] = field(default_factory=list)
    dead: bool = False
    closed: int = 0

    def __post_init__(self) -> None:
        self.model_config = SimpleNamespace(max_model_len=64)
        self.engine_core = SimpleNamespace(shutdown=self._shut)

    def _shut(self, timeout: float) -> None:
        self.closed += 1

    def get_tokenizer(self) -> PreTrainedTokenizerFast:
        return self.tokenizer

    def add_request(self, name: str, prompt: list[int], params: object, lora_request: object) -> None:
        if prompt == self.tokenizer.encode("bad"):
            raise ValueError("the prompt is bad")
        self.flying[name] = prompt
        self.fullest = max(self.fullest, len(self.flying))

    def step(self) -> list[SimpleNamespace]:
        if self.dead:
            raise Dead
        names = list(self.flying)[: self.room][::-2]
        texts = [self.tokenizer.decode(self.flying.pop(name)) for name in names]
        return [output(self.tokenizer, t, t, "stop", number=n) for n, t in zip(names, texts, strict=True)]

    def abort_request(self, names: Sequence[str]) -> None:
        self.aborted += names
        for name in names:
            del self.flying[name]


@pytest.fixture
def engine(tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A scripted engine, and enough of vLLM's names for what ``Vllm`` imports."""
    names: dict[str, dict[str, object]] = {
        "vllm": {"SamplingParams": SimpleNamespace},
        "vllm.exceptions": {"VLLMValidationError": ValueError},
        "vllm.inputs": {"tokens_input": list},
        "vllm.sampling_params": {
            "RequestOutputKind": SimpleNamespace(FINAL_ONLY=2),
            "StructuredOutputsParams": SimpleNamespace,
        },
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.exceptions": {"EngineDeadError": Dead},
    }
    for name, members in names.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    made = Engine(tokenizer)
    monkeypatch.setattr(start, "start", lambda *args, **options: made)
    return made


def texts(backend: Vllm, asked: Sequence[str]) -> list[str]:
    return [completion.text for completion in backend.generate(map(Prompt, asked))]


def test_completions_come_in_order_and_the_engine_is_kept_full(engine: Engine) -> None:
    asked = [f"number {n}" for n in range(50)]
    assert texts(Vllm(Path("model"), parallel=8), asked) == asked
    assert engine.fullest == 8
    assert not engine.flying


def test_what_is_read_ahead_is_bounded_and_abandoned_work_aborted(engine: Engine) -> None:
    backend, read = Vllm(Path("model"), parallel=3), []

    def endless() -> Iterator[Prompt]:
        while True:
            read.append(1)
            yield Prompt("Once")

    stream = backend.generate(endless())
    assert len(list(islice(stream, 2))) == 2
    stream.close()  # type: ignore[attr-defined]
    assert len(read) <= 2 + 4 * 3
    assert engine.aborted
    assert not engine.flying
    assert not backend._in_work


def test_two_streams_share_an_engine(engine: Engine) -> None:
    backend = Vllm(Path("model"), parallel=3)
    one, two = (backend.generate([Prompt(f"{name}{n}") for n in range(9)]) for name in "ab")
    told = [(first.text, second.text) for first, second in zip(one, two, strict=True)]
    assert told == [(f"a{n}", f"b{n}") for n in range(9)]


def test_prompts_that_cannot_be_sent_fail_alone(engine: Engine) -> None:
    backend = Vllm(Path("model"))
    bad = [Prompt("bad"), Prompt("x" * 64), Prompt("a", max_tokens=0), Prompt("\ud800"), Prompt("")]
    reasons = ("ValueError", "64", "max_tokens", "surrogate", "empty")
    first, *failed = backend.generate([Prompt("a"), *bad])
    assert first.text == "a"
    for completion, told in zip(failed, reasons, strict=True):
        assert completion.finish == "failed"
        assert told in completion.detail
    assert backend.count_tokens("\ud800") == 1


def test_a_dead_engine_and_a_closed_one_say_so(engine: Engine) -> None:
    backend = Vllm(Path("model"))
    engine.dead = True
    with pytest.raises(BackendError, match="died"):
        texts(backend, ["a"])
    backend.close()
    backend.close()
    assert engine.closed == 1
    with pytest.raises(BackendError, match="closed"):
        texts(backend, ["a"])


def test_scores_under_the_mask_are_remarked(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted engine tells -2: no model would say what the probe forces with such a probability."""
    assert math.log(0.1) < -2.0
    (notice,) = Vllm(Path("model")).notices()
    assert "constraint" in notice


def test_slack_is_for_log_probabilities_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    reader = VllmTokenizer(tokenizer, top=1)
    one = reader.completion([5], output(tokenizer, "gout", "gout", "stop"))
    other = reader.completion([5], output(tokenizer, "flu", "flu", "stop"))
    assert laws.alike(one, one, 0.1)
    assert not laws.alike(one, other, 0.1)
