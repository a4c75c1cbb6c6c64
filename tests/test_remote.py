"""Servers of the API: the laws against llama.cpp's own, and against a scripted one all that can go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import backend_laws as laws
import pytest
from scripted_server import CONTEXT, FAULTS, Script, Server, serving

from dirag import answers
from dirag.backends.http.client import RetryPolicy
from dirag.backends.http.remote import Remote
from dirag.backends.llamacpp import server as llamacpp_server
from dirag.constraint import Constraint
from dirag.data import Document, Prompt
from dirag.errors import BackendError, UsageError
from dirag.pipeline import tag
from dirag.prompting.builder import PromptBuilder, load_template
from dirag.taggers.llm import LlmTagger

HASTE = RetryPolicy(timeout=0.5, retries=8, backoff=0.01)
KEY = "key-of-the-tests"


@contextmanager
def opened(
    server: Server,
    *,
    model: str = "",
    api: str = "completions",
    dialect: str = "auto",
    key: str | None = None,
    context: int = 2048,
    parallel: int = 8,
    policy: RetryPolicy = HASTE,
) -> Iterator[Remote]:
    backend = Remote(
        server.url,
        model=model,
        api=api,
        dialect=dialect,
        key=key,
        context=context,
        parallel=parallel,
        policy=policy,
        top=2,
    )
    try:
        yield backend
    finally:
        backend.close()


def prompt(number: int, constraint: Constraint | None = None) -> Prompt:
    return Prompt(f"Text: The patient has gout{number}.\nDiseases:", ("\n",), 16, constraint)


# -- llama.cpp's own server ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(weights: Callable[[str], Path]) -> Iterator[str]:
    """One slot and no cache, so that neighbours change no bit of an answer."""
    path = weights("smollm2-135m-instruct")
    llamacpp_server.load()
    params = llamacpp_server.parameters(path, context=512, parallel=1, threads=None, adapter=None)
    params.api_keys, params.cache_prompt = [KEY], False
    server = llamacpp_server.start(params, path, None)
    server.handle_completions({"prompt": "~", "max_tokens": 1}, lambda chunk: False)
    yield server.listening_address
    del server


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Remote]:
    backend = Remote(url, key=KEY, parallel=4, top=3)
    yield backend
    backend.close()


@pytest.mark.weights
@pytest.mark.parametrize("law", laws.every(), ids=lambda law: law.__name__)
def test_law(engine: Remote, law: Callable[[Remote], None]) -> None:
    law(engine)


@pytest.mark.weights
def test_a_new_connection_gives_the_same(url: str) -> None:
    laws.is_deterministic(
        Remote(url, key=KEY, top=3), lambda: Remote(f"{url}/v1/", key=KEY, parallel=2, top=3)
    )


@pytest.mark.weights
@pytest.mark.parametrize(
    "law",
    [
        laws.keeps_order,
        laws.answers_each_prompt,
        laws.is_lazy,
        laws.reports_length,
        laws.survives_bad_prompts,
        laws.obeys_constraints,
        laws.tells_raw_log_probabilities,
    ],
    ids=lambda law: law.__name__,
)
def test_law_in_chat(url: str, law: Callable[[Remote], None]) -> None:
    """All but those on what a bare model goes on with: here it talks as it was taught to."""
    with closing(Remote(url, key=KEY, api="chat", parallel=4, top=3)) as backend:
        law(backend)
        asked = Prompt("Once", max_tokens=1)
        assert laws.one(backend, asked).usage.prompt <= backend.count_tokens(asked.text)


@pytest.mark.weights
def test_the_server_tells_its_context_and_refuses_a_wrong_key(url: str) -> None:
    with closing(Remote(url, key=KEY)) as backend:
        assert backend.context == 512
    for key in (None, "another"):
        with pytest.raises(BackendError, match=r"refuses: status 401 .*--key-env"):
            Remote(url, key=key)


# -- faults ----------------------------------------------------------------------------------------------


def test_a_server_that_fails_every_tenth_call_loses_and_doubles_nothing() -> None:
    """2,000 documents in, 2,000 right records out, in order."""
    hasty = RetryPolicy(timeout=0.2, retries=8, backoff=0.01)
    answer = answers.make("mentions", ("disease",))
    documents = [Document(str(i), f"The patient has gout{i}.") for i in range(2000)]
    with (
        serving(Script(faulty=0.1, stall=0.3, context=4096)) as server,
        opened(server, parallel=32, policy=hasty) as backend,
    ):
        builder = PromptBuilder(
            load_template("mentions"), answer, ("disease",), backend.context, backend.count_tokens
        )
        results = list(tag(documents, LlmTagger(backend, builder)))
        assert set(server.met) == set(FAULTS)
        assert 150 < len(server.met) < 350
    assert [result.document for result in results] == documents
    assert [[entity.text for entity in result.entities] for result in results] == [
        [f"gout{i}"] for i in range(2000)
    ]
    assert all(result.issues == () for result in results)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "stall"])
def test_a_request_that_always_fails_is_a_failed_completion(fault: str) -> None:
    policy = RetryPolicy(timeout=5, retries=1, backoff=0.01)
    with serving() as server, opened(server, policy=policy) as backend:
        server.script.faulty, server.script.faults = 1.0, (fault,)
        failed = laws.one(backend, prompt(1))
        server.script.faulty = 0.0
        assert laws.one(backend, prompt(1)).text == " gout1"
    assert failed.finish == "failed"
    assert server.url in failed.detail
    assert "gout" not in failed.detail


def test_a_prompt_that_is_refused_costs_itself_only() -> None:
    with serving() as server, opened(server) as backend:
        quoting = b'{"error": {"message": "gout1 is too long", "type": "invalid_request", "code": 400}}'
        server.script.replies.append((400, {}, quoting))
        failed = laws.one(backend, prompt(1))
        after = laws.one(backend, prompt(2))
    assert failed.finish == "failed"
    assert failed.detail == f"{server.url}: status 400 (invalid_request); the context is {CONTEXT} tokens"
    assert after.text == " gout2"


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501, 307])
def test_what_no_prompt_can_change_ends_the_run(status: int) -> None:
    with serving() as server, opened(server) as backend:
        server.script.replies += [(status, {"Location": "http://127.0.0.1:9/"}, b"gout1")] * 40
        completions = backend.generate(prompt(i) for i in range(40))
        if status == 307:
            assert next(completions).finish == "failed"
            return
        with pytest.raises(BackendError, match=rf"{server.url} refuses: status {status}") as caught:
            list(completions)
    assert caught.value.hint
    assert not caught.value.retryable
    assert "gout" not in str(caught.value)


def test_a_dead_server_is_one_error_after_all_that_was_finished() -> None:
    with serving(Script(last=20)) as server, opened(server, parallel=4) as backend:
        texts: list[str] = []
        completions = backend.generate(prompt(i) for i in range(100))
        with pytest.raises(BackendError, match=rf"{server.url} does not answer: no connection") as caught:
            texts.extend(completion.text for completion in completions)
    assert caught.value.retryable
    assert texts == [f" gout{i}" for i in range(len(texts))]
    assert 15 <= len(texts) <= 20


def test_a_server_that_only_ever_fails_counts_as_dead() -> None:
    policy = RetryPolicy(timeout=1, retries=1, backoff=0.01)
    with serving() as server, opened(server, policy=policy) as backend:
        server.script.faulty, server.script.faults = 1.0, ("500",)
        with pytest.raises(BackendError, match="does not answer: status 500"):
            list(backend.generate(prompt(i) for i in range(100)))
    with pytest.raises(BackendError, match="does not answer: no connection"):
        Remote(server.url, policy=policy)


def test_nobody_listening_is_told_when_the_engine_is_opened() -> None:
    with serving() as server:
        pass
    with pytest.raises(BackendError, match=rf"{server.url} does not answer: no connection"):
        Remote(server.url, policy=HASTE)


# -- what is sent, and where -----------------------------------------------------------------------------


def test_text_goes_to_the_address_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy of the environment nor a redirect gets any; a key is sent only where one was given."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serving() as elsewhere, serving() as server:
        with opened(server) as backend:
            server.script.replies.append((308, {"Location": f"{elsewhere.url}/v1/completions"}, b""))
            redirected = laws.one(backend, prompt(1))
            assert laws.one(backend, prompt(2)).text == " gout2"
            assert backend.notices() == [f"text was sent to {server.url} (4 requests, 0 retried)"]
        with opened(server, key="mine") as backend:
            laws.one(backend, prompt(3))
        assert elsewhere.seen == []
    assert redirected.finish == "failed"
    assert "308" in redirected.detail
    keys = [asked.headers.get("Authorization") for asked in server.seen]
    assert keys == [None] * 4 + ["Bearer mine"] * 3


@pytest.mark.parametrize(
    "owner, version, dialect, sent",
    [
        ("vllm", "0.32.0", "auto", {"structured_outputs": {"grammar"}}),
        ("vllm", "0.11.2", "auto", {"guided_grammar"}),
        ("sglang", "", "auto", {"ebnf"}),
        ("llamacpp", "", "auto", {"grammar"}),
        ("", "", "auto", set()),
        ("", "", "vllm", {"structured_outputs": {"grammar"}}),
        ("vllm", "0.32.0", "none", set()),
    ],
)
@pytest.mark.parametrize("api", ["completions", "chat"])
def test_the_constraint_is_sent_as_the_server_reads_it(
    owner: str, version: str, dialect: str, sent: set[str] | dict[str, set[str]], api: str
) -> None:
    constraint = laws.choice("gout1")
    with (
        serving(Script(owner=owner, version=version)) as server,
        opened(server, dialect=dialect, api=api) as backend,
    ):
        laws.one(backend, prompt(1))
        laws.one(backend, prompt(1, constraint))
        free, bound = (asked.body for asked in server.seen if asked.method == "POST")
        notices = backend.notices()
    added = {key: bound[key] for key in bound.keys() - free.keys()}
    assert added.keys() == set(sent)
    for value in added.values():
        assert value in (constraint.gbnf(), {"grammar": constraint.gbnf()})
        assert isinstance(value, dict) == isinstance(sent, dict)
    assert len(notices) == (1 if sent else 2)
    assert sent or "no constraint was sent" in notices[1]


def test_a_server_that_ignores_the_constraint_is_noticed() -> None:
    with serving() as server, opened(server) as backend:
        obeyed = laws.one(backend, prompt(1, laws.choice("gout1")))
        ignored = laws.one(backend, prompt(1, laws.choice("gout2")))
    assert (obeyed.text, obeyed.detail) == (" gout1", "")
    assert (ignored.text, ignored.finish) == (" gout1", "stop")
    assert "did not obey the constraint" in ignored.detail


@pytest.mark.parametrize("dialect", ["vllm", "vllm-guided", "llamacpp", "sglang", "none"])
def test_samples_are_asked_of_servers_that_draw_by_a_seed(dialect: str) -> None:
    sample = replace(prompt(1), temperature=0.7, seed=5)
    with serving() as server, opened(server, dialect=dialect) as backend:
        if dialect in ("sglang", "none"):
            with pytest.raises(UsageError, match=f"--samples .* {server.url} is not known to"):
                laws.one(backend, sample)
        else:
            assert laws.one(backend, sample).text == " gout1"
        bodies = [asked.body for asked in server.seen if asked.method == "POST"]
    assert [(body["temperature"], body["seed"]) for body in bodies] == [(0.7, 5)] * len(bodies)
    assert [body.get("top_p", 1.0) for body in bodies] == [1.0] * len(bodies)
    assert len(bodies) == (dialect not in ("sglang", "none"))


# -- what the server says of itself ----------------------------------------------------------------------


def test_the_model_is_the_only_one_or_must_be_named() -> None:
    with serving(Script(models=("a", "b"))) as server:
        with pytest.raises(UsageError, match="needs --model NAME; it serves a, b"), opened(server):
            pass
        with opened(server, model="b") as backend:
            laws.one(backend, prompt(1))
            assert backend.name == "openai:b"
        assert server.seen[-1].body["model"] == "b"
    with serving(Script(missing=["/v1/models"])) as server:
        with pytest.raises(UsageError, match="does not tell what it serves"), opened(server):
            pass
        with opened(server, model="b", context=700) as backend:
            assert backend.context == 700


def test_the_smaller_context_counts() -> None:
    for owner in ("vllm", "llamacpp"):
        with serving(Script(owner=owner)) as server:
            for granted, context in ((2048, CONTEXT), (300, 300)):
                with opened(server, context=granted) as backend:
                    assert backend.context == context
    with serving() as server, opened(server, context=300) as backend:
        failed = laws.one(backend, Prompt("word" + " word" * 300))
    assert failed.detail == "the prompt has 301 tokens, over the context of 300"


@pytest.mark.parametrize("owner", ["vllm", "sglang", "llamacpp", ""])
def test_tokens_are_counted_by_the_server_or_bounded_by_bytes(owner: str) -> None:
    with serving(Script(owner=owner)) as server, opened(server) as backend:
        assert backend.count_tokens("a βγ c") == (3 if owner else 8)
        server.script.missing = ["/tokenize"]
        assert backend.count_tokens("a βγ \ud800") == 8
        seen = len(server.seen)
        assert backend.count_tokens("a βγ c") == 8
        assert len(server.seen) == seen


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_log_probabilities_and_usage(api: str) -> None:
    with serving() as server:
        with opened(server, api=api) as backend:
            told = laws.one(backend, replace(prompt(1), stop=("t1",)))
        server.script.logprobs = False
        with opened(server, api=api) as backend:
            untold = laws.one(backend, prompt(1))
    assert told.text == " gou"
    (token,) = told.tokens
    assert (token.text, token.logprob, token.top) == (" gou", -0.25, ((" gout1", -0.25), ("x", -2.0)))
    assert (told.usage.prompt, told.usage.completion, told.usage.cached) == (6, 1, 1)
    assert (untold.text, untold.tokens) == (" gout1", ())


@pytest.mark.parametrize(
    "choice", [{"api": "assistants"}, {"dialect": "vlm"}, {"key": "two\nlines"}, {"key": "ключ"}]
)
def test_what_cannot_be_is_refused(choice: dict[str, str]) -> None:
    with serving() as server:
        with pytest.raises(UsageError) as caught:
            Remote(server.url, **choice)  # type: ignore[arg-type]
        assert server.seen == []
    assert caught.value.hint
    assert choice.get("key", "-----") not in str(caught.value)


# -- many at once ----------------------------------------------------------------------------------------


def test_requests_in_flight_are_bounded_and_kept_up() -> None:
    script = Script(latency=0.02)
    with serving(script) as server, opened(server, parallel=6) as backend:
        start = time.monotonic()
        done = [completion.text for completion in backend.generate(prompt(i) for i in range(120))]
        seconds = time.monotonic() - start
        assert done == [f" gout{i}" for i in range(120)]
        assert server.most == 6
        assert len({asked.headers["Host"] for asked in server.seen}) == 1
    assert seconds < 3 * 120 / 6 * 0.02


def test_abandoned_work_is_cut_off() -> None:
    policy = RetryPolicy(timeout=60, retries=2, backoff=30)
    with serving(Script(last=None)) as server, opened(server, policy=policy, parallel=3) as backend:
        server.script.latency = 20
        server.script.replies.append((500, {}, b""))  # one waits for its next try, the others for the server
        completions = backend.generate([prompt(i) for i in range(9)])
        asked = threading.Thread(target=lambda: next(completions, None), daemon=True)
        start = time.monotonic()
        asked.start()
        while server.posts < 3:
            time.sleep(0.01)
        backend.close()
        asked.join(5)
        assert not asked.is_alive()
        assert time.monotonic() - start < 5
