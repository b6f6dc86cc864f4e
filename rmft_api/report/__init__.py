"""A run as one page: what it came to, how sure that is, and every trajectory behind it.

    journal -> `gather` -> Story (figures and words) and Texts (trajectories) -> `page` -> one file

`live` serves the same page while the run proceeds. Only `page` and `live` know of HTML.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmft_api.report import (
        build,
        compared_data,
        data,
        evaluation_page,
        family_page,
        frames,
        grid_page,
        index_page,
        live,
        model_card,
        page,
        paper,
        play_groups,
        regret_svg,
        results_json,
        run_sides,
        runs_page,
        text,
        trajectory_index,
    )

__all__ = [
    "build",
    "compared_data",
    "data",
    "evaluation_page",
    "family_page",
    "frames",
    "grid_page",
    "index_page",
    "live",
    "model_card",
    "page",
    "paper",
    "play_groups",
    "regret_svg",
    "results_json",
    "run_sides",
    "runs_page",
    "text",
    "trajectory_index",
]
