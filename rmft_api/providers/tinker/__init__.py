"""Tinker, by the HTTP that its package speaks: training step by step. Chats are OpenAI's.

There is no job and no file there: a training run takes batches of token ids, one request after
the other. A job of ours is such a run, and every look at it (`TinkerTuner.job`) trains it on, up
to the next saved state; what it is, what it learns and how far it is stands in the run's metadata
and its checkpoints at Tinker, so any process can continue it.

names      our ids of fine-tunes, and what they say of Tinker's
control    requests that carry the key, results that come later, heartbeats
rendering  chats as token ids, by the base's own tokenizer and chat template
wire       a batch of token ids as the bytes that are sent
schedule   which examples are in which step, and how requests are numbered
files      training files, kept on this machine
run        a training run: its steps, its saved states, what a killed process left
tuner      jobs
access     whether a base can be trained and played, before anything is spent
"""
