"""Any server that speaks the completions or the chat API: ``vllm serve``, SGLang, llama.cpp's, hosted ones.

Text goes to the address that the user wrote and nowhere else. A prompt that the server refuses, or that comes
to nothing with all its retries, is a failed completion; a server that is dead, or refuses the key, the path
or the model, ends the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import orjson

from dirag.backends.admission import EMPTY, UNSPELLABLE, without_room
from dirag.backends.http import address as addresses
from dirag.backends.http import codec
from dirag.backends.http.client import STANDARD, Client, RequestFailed, RetryPolicy
from dirag.backends.http.dialects import DIALECTS, Served, look
from dirag.backends.http.wire import Cancelled, CancelToken
from dirag.backends.ordered import in_order
from dirag.config import Config
from dirag.data import Completion, Json, Prompt
from dirag.errors import BackendError, DiragError, UsageError, unknown

#: Tokens, where neither the server nor the user says it.
CONTEXT = 2048
#: Tokens that a chat template may put around a prompt.
TEMPLATE = 64
#: What no prompt will change: the key, the address, the name of the model.
_FATAL = {
    401: "the key is missing or wrong; name its variable with --key-env NAME",
    402: "the account of the key is not paid for",
    403: "the key may not do this; see --key-env",
    404: "the path or the model is unknown; see --base-url, --model and --api",
    405: "the path is not that of such an API; see --base-url",
    501: "the server does not have this API; see --api",
}


class Remote:
    """An engine behind an address, with ``parallel`` requests in flight.

    ``model`` may stay empty where the server has only one. ``context`` is the tokens that the user grants;
    where the server says that it has less, that counts. ``dialect`` "auto" asks the server what it is.
    The chat API has no way to begin the model's answer for it: a model may talk before it answers.
    Log-probabilities are those that the server gives: raw with llama.cpp, but under a constraint vLLM reads
    them after its mask, so that they are too high; from a server that gives none, completions have no
    tokens. An answer that its constraint does not accept keeps its text and says so in ``detail``: a server
    may drop fields that it does not know. ``identity`` is what the server says of itself and its model.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str = "",
        api: str = "completions",
        dialect: str = "auto",
        key: str | None = None,
        context: int = CONTEXT,
        parallel: int = 32,
        policy: RetryPolicy = STANDARD,
        top: int = 0,
    ) -> None:
        """Asks the server what it is. ``top`` is the number of alternatives with each token.

        Raises UsageError for an option that cannot be as it is, BackendError where no server answers.
        """
        _check(api, dialect, key)
        self._client = Client(addresses.parse(base_url), key=key, policy=policy)
        self._origin = self._client.address.origin
        self._models: tuple[str, ...] = ()
        served = self._look(model)
        self._api, self._top, self._parallel = api, top, parallel
        self._model = model or served.models[0]
        dialect_name = (served.dialect or "none") if dialect == "auto" else dialect
        self._dialect = DIALECTS[dialect_name]
        self._unknown = dialect == "auto" and not served.dialect
        self._counts = bool(self._dialect.tokenize)
        self.name = f"openai:{self._model}"
        self.identity = _identity(served, self._model, dialect_name)
        self.context = min(context, served.contexts.get(self._model, context))
        self._unsent = False
        self._closed = Event()
        self._cancels: set[CancelToken] = set()
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="dirag-remote")

    def count_tokens(self, text: str) -> int:
        """Returns the server's own count, or else an upper bound: no token is shorter than a byte."""
        self._check_open()
        template = TEMPLATE if self._api == "chat" else 0
        if self._counts:
            try:
                return self._tokenize(text) + template
            except RequestFailed as trouble:
                if trouble.status in _FATAL:
                    self._counts = False  # an older server, or one that does not open this path
        return len(text.encode("utf-8", "replace")) + template

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        """Yields completions in order; enough are in work that a slow one does not hold up the rest."""
        self._check_open()
        cancel = CancelToken()
        self._cancels.add(cancel)

        def submit(prompt: Prompt) -> Future[Completion]:
            self._check_open()
            if prompt.temperature and not self._dialect.sampling:
                raise UsageError(
                    f"--samples needs a server that draws by a seed, and {self._origin} is not known to",
                    hint="leave it out, or name a vLLM or llama.cpp server with --dialect",
                )
            return self._pool.submit(self._complete, prompt, cancel)

        try:
            # Twice as many wait as are in flight, so that a slow answer at the head does not idle the others.
            yield from in_order(prompts, submit, ahead=3 * self._parallel - 1)
        finally:
            # Also where the caller stops early, or presses Ctrl-C: servers end what nobody listens to.
            cancel.set()
            self._cancels.discard(cancel)

    def notices(self) -> Sequence[str]:
        """Says where text was sent, and what the server was not asked for."""
        client = self._client
        sentences = [
            f"text was sent to {self._origin} ({client.requests:,} requests, {client.retried:,} retried)"
        ]
        if self._unsent:
            why = "does not say which server it is; name it with --dialect" if self._unknown else "takes none"
            sentences.append(f"no constraint was sent: {self._origin} {why}")
        return sentences

    def close(self) -> None:
        """Ends what is in work and closes the connections."""
        self._closed.set()
        for cancel in list(self._cancels):
            cancel.set()
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def _look(self, model: str) -> Served:
        try:
            served = look(self._client)
            self._models = served.models
            if not model and len(served.models) != 1:
                offer = (
                    f"serves {', '.join(served.models)}" if served.models else "does not tell what it serves"
                )
                raise UsageError(f"{self._origin} needs --model NAME", hint=f"it {offer}")
            return served
        except RequestFailed as trouble:
            self._client.close()
            raise self._fatal(trouble) from None
        except DiragError:
            self._client.close()
            raise

    def _complete(self, prompt: Prompt, cancel: CancelToken) -> Completion:
        if refused := without_room(prompt):
            return refused
        if not prompt.text:
            return Completion.failed(EMPTY)
        try:
            return self._checked(prompt, self._ask(prompt, cancel))
        except UnicodeEncodeError:
            return Completion.failed(UNSPELLABLE)
        except Cancelled:
            return Completion.failed("nobody waited for the answer")
        except RequestFailed as trouble:
            if trouble.status in _FATAL:
                raise self._fatal(trouble) from None
            return Completion.failed(
                f"{self._origin}: {trouble.detail}; the context is {self.context} tokens"
            )

    def _ask(self, prompt: Prompt, cancel: CancelToken) -> Completion:
        def read(content: bytes) -> Completion:
            return codec.read(content, prompt, top=self._top)

        body = codec.body(prompt, api=self._api, model=self._model, dialect=self._dialect, top=self._top)
        return self._client.ask(self._client.address.api + codec.PATHS[self._api], body, read, cancel)

    def _checked(self, prompt: Prompt, completion: Completion) -> Completion:
        """Holds a completion to the context and the constraint, whatever the server made of them."""
        if completion.usage.prompt > self.context:
            tokens = f"{completion.usage.prompt} tokens, over the context of {self.context}"
            return Completion.failed(f"the prompt has {tokens}", completion.usage)
        if prompt.constraint is None or completion.finish != "stop":
            return completion
        if not self._dialect.grammar:
            self._unsent = True
        elif not prompt.constraint.accepts(completion.text):
            return replace(completion, detail=f"{self._origin} did not obey the constraint; see --dialect")
        return completion

    def _tokenize(self, text: str) -> int:
        def count(content: bytes) -> int:
            return len(orjson.loads(content)["tokens"])

        # A lone surrogate is counted like any character here; ``generate`` refuses it.
        request: dict[str, Json] = {
            self._dialect.tokenize: text.encode(errors="replace").decode(),
            "model": self._model,
        }
        request |= {"add_special": True} if self._dialect.tokenize == "content" else {}
        return self._client.ask(f"{self._client.address.root}/tokenize", orjson.dumps(request), count)

    def _fatal(self, trouble: RequestFailed) -> BackendError:
        models = f"; it serves {', '.join(self._models)}" if self._models else ""
        hint = _FATAL.get(trouble.status, "see --base-url")
        return BackendError(f"{self._origin} refuses: {trouble.detail}", hint=hint + models)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise BackendError(f"{self.name} is closed", hint="open it again")


def _check(api: str, dialect: str, key: str | None) -> None:
    if api not in codec.PATHS:
        raise unknown("api", api, codec.PATHS)
    if dialect not in ("auto", *DIALECTS):
        raise unknown("dialect", dialect, ["auto", *DIALECTS])
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the key holds characters that no HTTP header can hold",
            hint="correct the variable that --key-env names",
        )


def _identity(served: Served, model: str, dialect: str) -> dict[str, str]:
    about = {"version": served.version, **served.about.get(model, {})}
    return {
        "the server's model": model,
        "the server's dialect": dialect,
        "what the server says": orjson.dumps(about, option=orjson.OPT_SORT_KEYS).decode(),
    }


def open_engine(config: Config) -> Remote:
    """Opens the engine at ``--base-url``; raises UsageError where that is missing, or the key."""
    if not config.base_url:
        raise UsageError(
            f"--backend {config.backend} needs --base-url URL",
            hint="as in --base-url http://127.0.0.1:8000; it has no default",
        )
    key = os.environ.get(config.key_env, "").strip() if config.key_env else ""
    if config.key_env and not key:
        raise UsageError(f"--key-env names {config.key_env!r}, which is not set", hint="export it first")
    return Remote(
        config.base_url,
        model=config.model,
        api=config.api,
        dialect=config.dialect,
        key=key or None,
        context=config.context,
        parallel=config.parallel,
        policy=RetryPolicy(timeout=config.timeout, retries=config.retries),
    )
