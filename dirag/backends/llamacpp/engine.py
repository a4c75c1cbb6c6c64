"""llama.cpp in this process: GGUF weights on a CPU, prompts in, completions out.

Refuses weights or adapters that are missing or that llama.cpp cannot read. A prompt that is longer than the
context is a failed completion, never a cut one.
"""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from dirag.backends import gguf_files
from dirag.backends.admission import UNSPELLABLE, without_room
from dirag.backends.llamacpp import server as llamacpp_server
from dirag.backends.llamacpp.server import BATCH
from dirag.backends.ordered import in_order
from dirag.config import Config, adapter_of
from dirag.data import Completion, Prompt, Token, Usage
from dirag.errors import BackendError

if TYPE_CHECKING:
    from xllamacpp import Server


class LlamaCpp:
    """An engine over one GGUF file, with ``parallel`` prompts in work at a time.

    With one slot the same prompt gives the same tokens and log-probabilities, bit for bit, whatever came
    before and with any number of threads. For that flash attention is off (its sums depend on what shares
    the batch), and an answer for which the cache would matter is computed again without it. Several slots
    have no cache; each computes as if alone but for rare batches that hold one token of a prompt, and which
    those are is a matter of timing. On two cores they bring little.
    """

    def __init__(
        self,
        path: Path,
        *,
        context: int = 2048,
        parallel: int = 1,
        threads: int | None = None,
        adapter: Path | None = None,
        top: int = 0,
    ) -> None:
        """Loads the weights. ``top`` is the number of alternatives with each token.

        Raises BackendError where llama.cpp cannot load ``path`` or ``adapter``.
        """
        llamacpp_server.load()
        gguf_files.check(path, "weights")
        if adapter is not None:
            gguf_files.check(adapter, "adapter")
        self.name = f"llamacpp:{path.name}"
        self._key = secrets.token_hex(32)
        self._cache = parallel == 1
        self._before = 0  # tokens of the prompt whose computed values are in the cache
        self._top = top
        self._closed = Event()
        params = llamacpp_server.parameters(
            path, context=context, parallel=parallel, threads=threads, adapter=adapter
        )
        params.api_keys = [self._key]
        self._server: Server | None = llamacpp_server.start(params, path, adapter)
        _await_loop(self._server)
        self._address = self._server.listening_address.removeprefix("http://")
        # llama.cpp rounds the context up, and down to what the model was trained for.
        self.context = int(self._http("GET", "/props")["default_generation_settings"]["n_ctx"])
        self._parallel = parallel
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="llamacpp")

    def count_tokens(self, text: str) -> int:
        """Returns the exact number of tokens of a prompt, the one that begins it included."""
        return len(self._tokenize(text))

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        """Yields completions in order; prompts are read ahead only to keep several slots busy."""
        abandoned = Event()
        try:
            ahead = 2 * self._parallel - 1
            yield from in_order(prompts, lambda prompt: self._submit(prompt, abandoned), ahead=ahead)
        finally:
            # Also where the caller stops early, or presses Ctrl-C: what is in work ends at its next token.
            abandoned.set()

    def notices(self) -> Sequence[str]:
        """Returns none: the text stays in this process."""
        return ()

    def close(self) -> None:
        """Ends what is in work and frees the weights."""
        self._closed.set()
        # The threads first: llama.cpp aborts the process if it is freed while a request waits in it.
        self._pool.shutdown(cancel_futures=True)
        self._server = None

    def _submit(self, prompt: Prompt, abandoned: Event) -> Future[Completion]:
        if self._closed.is_set():
            raise BackendError(f"{self.name} is closed", hint="open it again")
        return self._pool.submit(self._complete, prompt, abandoned)

    def _complete(self, prompt: Prompt, abandoned: Event) -> Completion:
        if refused := without_room(prompt):
            return refused
        completion = self._ask(prompt, abandoned, cache=self._cache)
        if completion.usage.cached and not self._as_if_alone(completion.usage):
            completion = self._ask(prompt, abandoned, cache=False)
        self._before = completion.usage.prompt
        return completion

    def _as_if_alone(self, usage: Usage) -> bool:
        """Tells whether an answer that used the cache is, to the last bit, the one that it would be without.

        llama.cpp multiplies a single token by another kernel than two or more, which sum in another order.
        So no batch may hold one token, here or without the cache, and no cached token may have been written
        (or, as the last of a prompt, been computed) singly. About one prompt in a hundred is asked again.
        """
        computed = usage.prompt - usage.cached
        return 1 not in (computed % BATCH, usage.prompt % BATCH) and usage.cached < self._before

    def _ask(self, prompt: Prompt, abandoned: Event, *, cache: bool) -> Completion:
        chunks: list[dict[str, Any]] = []

        def receive(chunk: dict[str, Any]) -> bool:
            chunks.append(chunk)
            return abandoned.is_set() or self._closed.is_set()

        assert self._server is not None  # close() waits for this thread before it frees the engine
        try:
            # Whole answers come without an ear for Ctrl-C, streamed ones ask after each piece.
            self._server.handle_completions(self._request(prompt, cache), receive)
        except UnicodeEncodeError:
            return Completion.failed(UNSPELLABLE)
        except RuntimeError as error:
            return Completion.failed(f"llama.cpp: {error}")
        return _completion(chunks, self._top)

    def _tokenize(self, text: str) -> list[int]:
        """Returns the tokens of a prompt; what is spelled like a control token there is text."""
        body = {"content": text, "add_special": True, "parse_special": False}
        tokens: list[int] = self._http("POST", "/tokenize", body)["tokens"]
        return tokens

    def _request(self, prompt: Prompt, cache: bool) -> dict[str, Any]:
        prompt.text.encode()
        request: dict[str, Any] = {
            "prompt": self._tokenize(prompt.text),
            "temperature": prompt.temperature,
            "max_tokens": prompt.max_tokens,
            "stop": list(prompt.stop),
            # Of the model's own distribution: taken from the logits before temperature, grammar and sampling.
            # The unconstrained engine gives the same numbers at the same place; a test holds it to that.
            "n_probs": max(1, self._top),
            "post_sampling_probs": False,
            "cache_prompt": cache,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
        }
        if prompt.temperature:
            request |= {"seed": prompt.seed, "samplers": ["temperature"]}
        if prompt.constraint is not None:
            request["grammar"] = prompt.constraint.gbnf()
        return request

    def _http(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Asks llama.cpp what it answers over its port only; 0.3 ms a call, also while all slots work."""
        if self._closed.is_set():
            raise BackendError(f"{self.name} is closed", hint="open it again")
        # A lone surrogate is counted like any character here; ``generate`` refuses it.
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request(method, path, payload, {"Authorization": f"Bearer {self._key}"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BackendError(
                f"llama.cpp does not answer at {self._address}: {error}", retryable=True
            ) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise BackendError(f"llama.cpp answers {path} with status {response.status}")
        answer: dict[str, Any] = json.loads(content)
        return answer


def _await_loop(server: Server) -> None:
    """Returns when the engine answers. One that is freed before its loop has begun would never end."""
    server.handle_completions({"prompt": "~", "max_tokens": 1}, lambda chunk: False)


def _completion(chunks: list[dict[str, Any]], top: int) -> Completion:
    """Joins the streamed pieces of one answer."""
    error = next((chunk["error"] for chunk in chunks if "error" in chunk), None)
    if error is not None:
        return Completion.failed(f"llama.cpp: {error['message']}")
    choices = [chunk["choices"][0] for chunk in chunks if chunk.get("choices")]
    usage = next((_usage(chunk["usage"]) for chunk in reversed(chunks) if chunk.get("usage")), Usage())
    return Completion(
        "".join(choice["text"] for choice in choices),
        tokens=tuple(_tokens(choices, top)),
        finish="length" if choices[-1]["finish_reason"] == "length" else "stop",
        usage=usage,
    )


def _usage(counts: dict[str, Any]) -> Usage:
    cached = counts["prompt_tokens_details"]["cached_tokens"]
    return Usage(counts["prompt_tokens"], counts["completion_tokens"], cached)


def _tokens(choices: list[dict[str, Any]], top: int) -> Iterator[Token]:
    """Yields the tokens, whose texts join to the answer's.

    The token that ends an answer has no text; so has one that is held back since a stop string may begin
    with it, and its text comes with the next. A character that takes several tokens is one, with the
    log-probability of the last.
    """
    for choice in choices:
        for token in (choice["logprobs"] or {"content": ()})["content"]:
            best = tuple((other["token"], other["logprob"]) for other in token["top_logprobs"][:top])
            yield Token(token["token"], token["logprob"], best)


def open_engine(config: Config) -> LlamaCpp:
    return LlamaCpp(
        Path(config.model),
        context=config.context,
        parallel=config.parallel,
        threads=config.threads or None,
        adapter=adapter_of(config),
    )
