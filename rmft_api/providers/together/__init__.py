"""Together AI, by its REST: files, fine-tuning jobs, dedicated endpoints. Chats are OpenAI's.

names      our ids of fine-tunes, and what they say of Together's
control    requests that carry the key, and the project they are about
convert    what a training file must hold, line by line
files      training files: by a signed address, once for every content
tuner      fine-tunes
host       an endpoint with one deployment for each model, rented by the minute
access     whether a base can be trained and hosted, before anything is spent
"""
