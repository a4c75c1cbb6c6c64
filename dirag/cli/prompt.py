"""``dirag prompt``: the exact prompt for a text, and its constraint; calls no model."""
