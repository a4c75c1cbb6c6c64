"""The disk: data folders, known files fetched once, digests, journals of finished work."""
