"""The quality score of paragraphs: labelled by an LLM on a sample, spread by a small model."""
