"""LoRA adapters of a language model, trained on the prompts and answers of a run."""
