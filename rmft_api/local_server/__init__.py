"""The embedded provider: the OpenAI wire on loopback, over models that really train."""
