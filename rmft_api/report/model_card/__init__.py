"""A model card of a run's champion: where it comes from, what it can do, and how sure that is.

Results, ReportData, RunConfig -> `head` (YAML of the Hub), `sections`, `conclusions` -> Markdown
"""

from rmft_api.config.schema import RunConfig
from rmft_api.evaluation.scoring import Results
from rmft_api.report.data import ReportData
from rmft_api.report.model_card import conclusions, head, sections


def model_card(config: RunConfig, results: Results, report: ReportData) -> str:
    """The card as Markdown with the Hub's YAML head. The numbers are those of the page."""
    parts = (
        head.of_champion(config, results),
        sections.summary(config, results, report),
        sections.origin(config, results, report),
        sections.training(config, results, report),
        sections.measures(results, report),
        sections.cost(results, report),
        sections.usage(config, results),
        conclusions.section(config, results, report),
    )
    return "\n\n".join(part.strip() for part in parts if part) + "\n"
