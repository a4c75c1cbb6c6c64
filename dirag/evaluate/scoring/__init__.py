"""Scores of predicted entities and concepts against gold ones."""
