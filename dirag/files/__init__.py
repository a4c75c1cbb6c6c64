"""The machine: data folders, files fetched once, digests, journals of finished work, foreign libraries."""
