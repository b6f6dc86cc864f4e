"""Numbers in, numbers out: small models of full-information online learning (docs/method.md 8).

chats -> linear_attention | transformer -> simplex, noise -> engine; training learns from chats

A user message is `{"K":3,"rewards":[[r, r, r], ...]}`, the rewards of the rounds so far; the answer
is `{"policy":[p, p, p]}`. Temperature is the standard deviation of noise on the logits.
"""
