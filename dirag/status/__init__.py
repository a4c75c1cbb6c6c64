"""What the text says of a mention: negated, uncertain, hypothetical, historical, of the family."""
