"""Fireworks AI, by its REST: datasets, fine-tuning jobs, deployments. Chats are OpenAI's.

names      our ids of fine-tunes, and the names of everything that a run makes there
control    requests that carry the key, about one account
convert    what a dataset must hold, line by line
datasets   training files
tuner      supervised fine-tuning jobs, named by their order
host       a deployment for each model, rented by the second of its GPUs
access     whether the account may spend, and a base can be trained and played
"""
