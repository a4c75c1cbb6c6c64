"""From a ``Config`` to the objects that it names: sources, engines, taggers, and what they are made of."""
