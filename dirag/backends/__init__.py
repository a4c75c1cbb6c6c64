"""Engines that continue prompts, a package or a module each; ``dirag.config.ENGINES`` is their table."""
