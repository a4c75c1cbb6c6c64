"""Prompts: templates, concept lines, and the builder that fits them into the context."""
