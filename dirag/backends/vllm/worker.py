"""Inside vLLM's workers: log-probabilities of what the model itself finds likely, whatever the constraint.

vLLM masks the logits before its sampler reads "raw" log-probabilities from them. Here the sampler is given
those of the logits as they were. ``Vllm`` tries at its start whether that came through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from vllm.v1.core.sched.output import GrammarOutput, SchedulerOutput
    from vllm.v1.worker.gpu_input_batch import InputBatch
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner


class RawProbabilities:
    """What vLLM mixes into its worker class (``worker_extension_cls``)."""

    model_runner: GPUModelRunner

    def keep_raw_probabilities(self) -> None:
        """Patches the sampler; called in each worker, once, when its model is loaded."""
        from vllm.v1.worker import gpu_model_runner

        sampler = self.model_runner.sampler
        mask, compute = gpu_model_runner.apply_grammar_bitmask, sampler.compute_logprobs
        unmasked: list[tuple[torch.Tensor, torch.Tensor]] = []

        def masked(
            scheduled: SchedulerOutput, grammar: GrammarOutput, batch: InputBatch, logits: torch.Tensor
        ) -> None:
            unmasked[:] = [(logits, compute(logits))]  # the mask is laid over the logits in place
            mask(scheduled, grammar, batch, logits)

        def computed(logits: torch.Tensor) -> torch.Tensor:
            # The very tensor that was masked, or another step's: equal numbers would prove nothing.
            raw = next((before for after, before in unmasked if after is logits), None)
            unmasked.clear()
            return compute(logits) if raw is None else raw

        gpu_model_runner.apply_grammar_bitmask = masked
        sampler.compute_logprobs = computed
