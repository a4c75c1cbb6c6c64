"""vLLM in this process: whole batches in flight, completions in order, on a GPU (or its build for a CPU).

Prompts stream into vLLM's scheduler and completions out of it, so that continuous batching stays full;
beginnings that prompts share are computed once. A prompt that is longer than the context is a failed
completion, never a cut one. Refuses a model that is no folder on this machine: nothing is downloaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.backends.admission import EMPTY, admit
from dirag.backends.ordered import in_steps
from dirag.backends.vllm import start
from dirag.backends.vllm.tokenizer import VllmTokenizer
from dirag.config import Config, adapter_of
from dirag.constraint import Constraint
from dirag.data import Completion, Prompt
from dirag.errors import BackendError

if TYPE_CHECKING:
    from vllm import LLMEngine, SamplingParams

#: Seconds that vLLM's processes have to end by themselves.
GRACE = 0.5
#: What no model would say; one of the few tokens that begin it would be likely if nothing else could be said.
UNLIKELY = Constraint(((("~~~", 1),), ()), frozenset({1}))


class Vllm:
    """An engine over a folder of weights, with ``parallel`` prompts in vLLM's hands at a time.

    vLLM sums in another order when other prompts share the batch: the same prompt gives the same answer but
    for rare ties, and log-probabilities that differ in their last digits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        context: int = 2048,
        parallel: int = 256,
        adapter: Path | None = None,
        options: Sequence[str] = (),
        top: int = 0,
    ) -> None:
        """Starts vLLM. ``top`` is the number of alternatives with each token.

        ``adapter`` is a folder with a LoRA adapter, ``options`` are ``name=value`` for ``vllm.EngineArgs``.
        Raises UsageError for options that vLLM does not have, BackendError where it does not start.
        """
        self._engine: LLMEngine | None = start.start(
            folder, context=context, adapter=adapter, options=options, top=top
        )
        self._lora = start.lora(adapter) if adapter else None
        self.name = f"vllm:{folder.name}" + (f"+{adapter.name}" if adapter else "")
        self.context: int = self._engine.model_config.max_model_len
        self._tokenizer = VllmTokenizer(self._engine.get_tokenizer(), top=top)
        self._parallel, self._top = parallel, top
        self._numbers = count()
        self._in_work: dict[str, _EngineRequest] = {}
        self._masked = not self._tells_raw_probabilities()

    def count_tokens(self, text: str) -> int:
        """Returns the exact number of tokens of a prompt, the one that begins it included."""
        return len(self._tokenizer.encode(text.encode(errors="replace").decode()))

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        """Yields completions in order; prompts are read ahead to keep the engine full."""
        return in_steps(prompts, self._submit, self._step, self._abandon, parallel=self._parallel)

    def notices(self) -> Sequence[str]:
        """Returns none where all is well: the text stays on this machine."""
        masked = "this vLLM tells probabilities under the constraint only, so scores are too high"
        return [masked] if self._masked else []

    def close(self) -> None:
        """Ends what is in work and frees the weights."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.engine_core.shutdown(timeout=GRACE)

    def _tells_raw_probabilities(self) -> bool:
        """Tells whether a token that nothing but a constraint could bring about is called unlikely."""
        (completion,) = self.generate([Prompt("One, two, three,", max_tokens=1, constraint=UNLIKELY)])
        return bool(completion.tokens) and completion.tokens[0].logprob < math.log(0.1)

    def _opened(self) -> LLMEngine:
        if self._engine is None:
            raise BackendError(f"{self.name} is closed", hint="open it again")
        return self._engine

    def _submit(self, prompt: Prompt) -> _EngineRequest | Completion:
        """Hands a prompt to vLLM; a completion is the answer to one that it cannot take."""
        from vllm.exceptions import VLLMValidationError
        from vllm.inputs import tokens_input

        engine = self._opened()
        admitted = admit(prompt, self._tokenizer.encode, context=self.context)
        if isinstance(admitted, Completion):
            return admitted
        if not prompt.text:  # but for the token that begins every prompt
            return Completion.failed(EMPTY)
        tokens, most = admitted
        request = _EngineRequest(str(next(self._numbers)), tokens)
        try:
            params = parameters(prompt, most=most, top=self._top)
            engine.add_request(request.id, tokens_input(tokens), params, lora_request=self._lora)
        except (ValueError, VLLMValidationError) as error:
            # Its words may quote the grammar, and so the note.
            return Completion.failed(f"vLLM refuses the request ({type(error).__name__})")
        self._in_work[request.id] = request
        return request

    def _step(self, _: Sequence[_EngineRequest]) -> None:
        """Waits for what vLLM has computed next, also for other streams of this engine."""
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            outputs = self._opened().step()
        except EngineDeadError as error:
            raise BackendError(
                f"{self.name} has died", hint="what it wrote on standard error says why"
            ) from error
        for output in outputs:
            if output.finished and (request := self._in_work.pop(output.request_id, None)):
                request.completion = self._tokenizer.completion(request.tokens, output)

    def _abandon(self, requests: Iterable[_EngineRequest]) -> None:
        from vllm.v1.engine.exceptions import EngineDeadError

        names = [request.id for request in requests if self._in_work.pop(request.id, None)]
        if self._engine is not None and names:
            with suppress(EngineDeadError):
                self._engine.abort_request(names)


@dataclass(slots=True)
class _EngineRequest:
    """A prompt in vLLM's hands."""

    id: str
    tokens: Sequence[int]
    completion: Completion | None = None


def parameters(prompt: Prompt, *, most: int, top: int) -> SamplingParams:
    """Returns what vLLM is asked for: one output at the end, log-probabilities of ``top`` tokens a place."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    bound = prompt.constraint
    return SamplingParams(
        temperature=prompt.temperature,
        seed=prompt.seed if prompt.temperature else None,
        max_tokens=most,
        stop=list(prompt.stop),
        logprobs=top,
        output_kind=RequestOutputKind.FINAL_ONLY,
        structured_outputs=StructuredOutputsParams(grammar=bound.gbnf()) if bound else None,
    )


def open_engine(config: Config) -> Vllm:
    return Vllm(
        Path(config.model),
        context=config.context,
        parallel=config.parallel,
        adapter=adapter_of(config),
        options=config.engine_options,
    )
