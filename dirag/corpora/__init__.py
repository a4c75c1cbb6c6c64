"""Gold corpora by name or path."""
