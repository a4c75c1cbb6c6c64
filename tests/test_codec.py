"""Requests and answers of the two APIs: what is sent, and that nothing read from outside breaks the laws."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.backends.http.codec import body, joined, read
from dirag.backends.http.dialects import DIALECTS
from dirag.backends.openvino.decoding import before_stop
from dirag.data import Completion, Json, Prompt, Token

PLAIN = DIALECTS["none"]
PROMPT = Prompt("Text: β\nDiseases:", ("\n", "##"), 7)


def sent(api: str, prompt: Prompt = PROMPT, *, top: int = 0, dialect: str = "none") -> dict[str, Json]:
    request: dict[str, Json] = orjson.loads(
        body(prompt, api=api, model="m", dialect=DIALECTS[dialect], top=top)
    )
    return request


def test_a_request_is_greedy_and_asks_for_log_probabilities() -> None:
    shared: dict[str, Json] = {"model": "m", "max_tokens": 7, "temperature": 0, "stop": ["\n", "##"]}
    assert sent("completions") == shared | {"prompt": PROMPT.text, "logprobs": 1}
    chat = {"messages": [{"role": "user", "content": PROMPT.text}], "logprobs": True, "top_logprobs": 3}
    assert sent("chat", top=3) == shared | chat
    assert sent("completions", dialect="vllm")["repetition_penalty"] == 1
    assert "stop" not in sent("completions", Prompt("x"))
    assert sent("completions", Prompt("x", ("1", "2", "3", "4", "5")))["stop"] == ["1", "2", "3", "4"]
    with pytest.raises(UnicodeEncodeError):
        sent("completions", Prompt("\ud800"))


def choice(text: str, finish: str = "stop", logprobs: Json = None) -> bytes:
    return orjson.dumps({"choices": [{"text": text, "finish_reason": finish, "logprobs": logprobs}]})


def test_what_stands_behind_a_stop_string_is_cut_even_where_the_server_sends_it() -> None:
    tokens: Json = {"tokens": ["gout", ";#", "#\n"], "token_logprobs": [-1.0, -2.0, -3.0]}
    completion = read(choice("gout;##\n", "length", tokens), PROMPT, top=0)
    assert completion == Completion("gout;", (Token("gout", -1), Token(";", -2)), "stop")
    assert before_stop("abc", ()) == "abc"


def test_an_answer_cut_in_the_middle_of_a_character_is_whole_up_to_it() -> None:
    assert read(choice("gout \ufffd", "length"), PROMPT, top=0).text == "gout "


def test_chat_may_say_nothing_and_a_filtered_answer_is_failed() -> None:
    silent = orjson.dumps({"choices": [{"message": {"content": None}, "finish_reason": "stop"}]})
    assert read(silent, PROMPT, top=0) == Completion("")
    filtered = read(choice("gout", "content_filter"), PROMPT, top=0)
    assert (filtered.finish, filtered.text) == ("failed", "")
    assert "content_filter" in filtered.detail


def test_both_spellings_of_log_probabilities_say_the_same() -> None:
    flat: Json = {
        "tokens": ["go", "ut"],
        "token_logprobs": [-0.5, 0.0001],
        "top_logprobs": [{"no": -3.0, "go": -0.5}, {"ut": 0.0001}],
    }
    nested: Json = {
        "content": [
            {
                "token": "go",
                "logprob": -0.5,
                "top_logprobs": [{"token": "go", "logprob": -0.5}, {"token": "no", "logprob": -3.0}],
            },
            {"token": "ut", "logprob": 0.0001, "top_logprobs": [{"token": "ut", "logprob": 0.0001}]},
        ]
    }
    expected = (Token("go", -0.5, (("go", -0.5), ("no", -3.0))), Token("ut", 0.0, (("ut", 0.0),)))
    for logprobs in (flat, nested):
        assert read(choice("gout", logprobs=logprobs), PROMPT, top=2).tokens == expected
    numbers: Json = {"tokens": ["token_id:5", "token_id:9"], "token_logprobs": [-1.0, -2.0]}
    assert read(choice("gout", logprobs=numbers), PROMPT, top=0).tokens == ()


KEYS = [
    *("choices", "text", "message", "content", "finish_reason"),
    *("usage", "prompt_tokens", "logprobs", "tokens", "token_logprobs"),
]
json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text("aβ\n", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
)


@given(json | st.builds(lambda inner: {"choices": [inner]}, json))
def test_whatever_comes_is_an_answer_or_a_named_error(answer: Json) -> None:
    try:
        completion = read(orjson.dumps(answer), PROMPT, top=1)
    except (ValueError, TypeError, LookupError, AttributeError):
        return
    assert isinstance(completion.text, str)
    assert "\n" not in completion.text


@given(st.lists(st.text("ab β;\ufffd", min_size=0, max_size=3), max_size=8), st.integers(0, 30))
def test_tokens_are_cut_with_the_text(texts: list[str], length: int) -> None:
    whole = "".join(texts)
    text = whole[:length]
    tokens = joined([Token(piece, -float(i)) for i, piece in enumerate(texts)], text)
    assert "".join(token.text for token in tokens) == text
    kept = [(token.text, token.logprob) for token in tokens]
    assert kept[:-1] == [(p, -float(i)) for i, p in enumerate(texts) if p][: max(0, len(kept) - 1)]


@pytest.mark.parametrize(
    "shown, kept",
    [
        (["a", "\ufffd", "\ufffd", ";"], ["a", "β", ";"]),
        (["a", "", "β", ";"], ["a", "β", ";"]),
        (["a", "bytes:\\xce", "bytes:\\xb2", ";"], ["a", "β", ";"]),
        (["a", "\ufffd", "\ufffd"], ["a", "β;"]),
        (["a", "β;", "</s>"], ["a", "β;"]),
        ([" a", "β", ";"], ["a", "β", ";"]),
        (["a"], []),
        ([], []),
    ],
)
def test_a_character_of_several_tokens_is_one(shown: list[str], kept: list[str]) -> None:
    tokens = joined([Token(text, -float(i)) for i, text in enumerate(shown)], "aβ;")
    assert [token.text for token in tokens] == kept
    assert all(math.isfinite(token.logprob) for token in tokens)
