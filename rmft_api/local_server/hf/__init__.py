"""Open models: any causal chat checkpoint of Hugging Face's format, fine-tuned by LoRA.

settings -> checkpoint (files) -> chats (template, tokens) -> sampling | tuning -> adapters

transformers generates, PEFT holds the adapters, TRL trains; base weights are loaded once and every
fine-tune is an adapter over them.
"""
