"""Which tokens a plan counts."""

from rmft_api import tokens
from rmft_api.config import RunConfig
from rmft_api.providers.profiles import Profile
from rmft_api.tokens import TokenCounter


def planned_with(config: RunConfig, playing: Profile) -> TokenCounter:
    """The model's own vocabulary where it is at hand without torch, else a named estimate."""
    model = config.model
    if playing.name == "local" and model.checkpoint is None:
        from rmft_api.local_server.counting import counter_of

        if (own := counter_of(model.base)) is not None:
            return own
    return tokens.counter_for(model.base)
