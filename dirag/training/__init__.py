"""Training of adapters: what the tagger asks and what it should have answered, learnt by a causal LM."""
