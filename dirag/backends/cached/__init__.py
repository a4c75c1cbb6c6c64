"""Answers that were given before: the response cache, recordings and their replay."""
