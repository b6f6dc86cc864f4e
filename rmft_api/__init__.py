"""Fine-tune a chat model on its own lowest-regret play (Iterative RMFT, arXiv 2511.04393).

environments x prompts -> rollouts -> regret -> selection -> dataset -> finetuning -> the next model

The functions of this page are all that a user needs to import: `plan`, `preview`, `run`, `resume`,
`open_run`, `evaluate`, and `Decider`, which asks a tuned model for decisions. Errors are in
`rmft_api.errors`. Nothing is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

from rmft_api import api

if TYPE_CHECKING:
    from rmft_api import errors as errors
    from rmft_api.api import *  # noqa: F403  one list of names: that of `api`

    __version__: str

__all__: list[str] = ["__version__"]
__all__ += api.__all__


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("rmft-api")
    if name == "errors":
        from importlib import import_module

        return import_module("rmft_api.errors")
    if name not in __all__:
        raise AttributeError(f"module 'rmft_api' has no attribute {name!r}")
    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
