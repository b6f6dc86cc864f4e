"""A tiny text model that is really sampled and really fine-tuned on a CPU.

vocabulary -> tokenizer -> network -> sampling, training -> engine

`base.safetensors` is the base that ships; `pretraining` rebuilds it from nothing.
"""
