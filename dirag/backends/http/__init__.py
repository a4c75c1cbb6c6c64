"""Servers with the OpenAI API: address, wire, retries, dialects, the engine over them."""
