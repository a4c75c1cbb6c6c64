"""Engines that continue prompts, one module each; ``dirag.config.BACKENDS`` is the table of their names."""
