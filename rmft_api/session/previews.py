"""What a run will really send, for those who ask before they begin it. Sends nothing."""

import asyncio
from pathlib import Path

from rmft_api.config.schema import RunConfig
from rmft_api.planning import previews
from rmft_api.planning.previews import PreviewedScenario, PreviewOptions
from rmft_api.prompts import of_run as prompts_of_run
from rmft_api.session.embedded_server import check_base
from rmft_api.session.plans import profiles_of
from rmft_api.session.starting_models import resolved
from rmft_api.session.token_counters import counter_at


async def preview_of(config: RunConfig, options: PreviewOptions, runs: Path) -> PreviewedScenario:
    """The messages of chosen rounds, with tokens and costs, and how replies would be read.

    `runs`: the folder of runs, where a model that `model.base = "run:NAME"` means is looked for.

    Needs no key and writes nothing. Raises ConfigError, DataError for a run whose prompts fail,
    UsageError for a scenario or a round that it does not have.
    """
    config = resolved(config, runs)
    playing, _ = profiles_of(config)
    check_base(playing, config.model)
    counter = counter_at(playing, config.model)
    return await previews.preview(config, prompts_of_run(config), playing, counter, options)


def preview_now(config: RunConfig, options: PreviewOptions, runs: Path) -> PreviewedScenario:
    """As `preview_of`, where no event loop runs."""
    return asyncio.run(preview_of(config, options, runs))
