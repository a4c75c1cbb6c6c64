"""Sentence encoders fitted to a vocabulary's synonyms and hierarchy."""
