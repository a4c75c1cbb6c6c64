"""In-context examples: pools of annotated sentences, and selectors over them."""
