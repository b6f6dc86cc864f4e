"""Gemini on Google's Agent Platform (Vertex AI), by its REST: chats, tuning jobs, Cloud Storage.

names      our ids of tuned models, and the paths of theirs
convert    messages and datasets as `contents`
chat       generateContent
bucket     training files in Cloud Storage
tuner      tuningJobs
host       which endpoint a tuned model was deployed to
"""
