"""Our problems as an environment of verifiers, which looks for `load_environment` in a package."""

from importlib import import_module
from typing import Any

from rmft_api.core.errors import ConfigError


def load_environment(suite: str = "small", **settings: Any) -> Any:
    """An environment of verifiers with the problems of a suite: regret is the reward.

    `verifiers.load_environment("rmft-api", suite="k24")` and `vf-eval rmft-api` call it. `settings`
    are those of `rmft_api.integrations.verifiers_env.load_environment`. Needs the extra
    `[verifiers]`. Raises ConfigError without it, and for an unknown suite.
    """
    try:
        module = import_module("rmft_api.integrations.verifiers_env")
    except ImportError:
        raise ConfigError(
            "an environment for RL needs verifiers: pip install 'rmft-api[verifiers]'"
        ) from None
    return module.load_environment(suite, **settings)
