"""The knowledge base: vocabularies to concepts (``sources``), a directory (``store``), and look-up in it."""
