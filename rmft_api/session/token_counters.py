"""Which tokens are counted: of plans, and of what is learnt from."""

from rmft_api.config.schema import ModelConfig
from rmft_api.datasets import checkpoint_tokens, tokens
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.open_models.gguf_files import folder_for
from rmft_api.providers.profiles import Profile


def counter_at(profile: Profile, model: ModelConfig) -> TokenCounter:
    """The model's own vocabulary where it is at hand without torch, else a named estimate."""
    if profile.name == "local" and model.checkpoint is not None:
        folder = folder_for(model.checkpoint).absolute()
        thinking = str(model.engine.get("thinking", "false")).lower() == "true"
        own = checkpoint_tokens.counter_of(folder, thinking=thinking) if folder.is_dir() else None
        if own is not None:
            return own
    if profile.name == "local" and model.checkpoint is None:
        from rmft_api.local_server.counting import counter_of

        if (own := counter_of(model.served_base)) is not None:
            return own
    return tokens.counter_for(model.base)
