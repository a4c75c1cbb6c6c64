"""The indexes of a knowledge base: exact, fuzzy and dense look-up, ranking, and the scan of a text."""
