"""Which tokens are counted: of plans, and of what is learnt from."""

from rmft_api.config.schema import ModelConfig
from rmft_api.datasets import tokens
from rmft_api.datasets.tokens import TokenCounter
from rmft_api.providers.profiles import Profile


def counter_at(profile: Profile, model: ModelConfig) -> TokenCounter:
    """The model's own vocabulary where it is at hand without torch, else a named estimate."""
    if profile.name == "local" and model.checkpoint is None:
        from rmft_api.local_server.counting import counter_of

        if (own := counter_of(model.served_base)) is not None:
            return own
    return tokens.counter_for(model.base)
