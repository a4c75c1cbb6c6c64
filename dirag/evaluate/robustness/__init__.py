"""How much of a system's answers survives edits of the text."""
