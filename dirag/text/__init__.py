"""A text as characters: segments, normal forms, abbreviations, where a string stands."""
