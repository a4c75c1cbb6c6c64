"""The files of a knowledge base: their layout, writing and reading."""
