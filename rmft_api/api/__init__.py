"""The public Python API. Nothing is imported before it is used."""

from typing import TYPE_CHECKING

from rmft_api.core.lazy import lazily

if TYPE_CHECKING:
    from rmft_api.api.ablations import aablate, ablate, plan_ablate
    from rmft_api.api.checks import (
        acleanup,
        adoctor,
        cleanup,
        compare_profiles,
        doctor,
        init,
        list_profiles,
    )
    from rmft_api.api.decider import Decider
    from rmft_api.api.decision_game import Decision, Game
    from rmft_api.api.evaluations import aevaluate, evaluate, plan_evaluate
    from rmft_api.api.families import Family, list_families, open_family
    from rmft_api.api.fetching import get_model, make_checkpoint
    from rmft_api.api.log_files import save_log
    from rmft_api.api.opened_run import (
        Run,
        TunedModel,
        figures,
        list_runs,
        live_report,
        open_run,
        side_by_side,
        write_report,
    )
    from rmft_api.api.plans import Alternatives, Plan, aplan, plan
    from rmft_api.api.previews import Preview, apreview, preview
    from rmft_api.api.retraining import aretrain, plan_retrain, retrain
    from rmft_api.api.rl_environments import load_environment
    from rmft_api.api.running import aresume, arun, resume, run

_MODULES = {
    "ablations": ("aablate", "ablate", "plan_ablate"),
    "checks": (
        "acleanup",
        "adoctor",
        "cleanup",
        "compare_profiles",
        "doctor",
        "init",
        "list_profiles",
    ),
    "decider": ("Decider",),
    "decision_game": ("Decision", "Game"),
    "evaluations": ("aevaluate", "evaluate", "plan_evaluate"),
    "families": ("Family", "list_families", "open_family"),
    "fetching": ("get_model", "make_checkpoint"),
    "log_files": ("save_log",),
    "opened_run": (
        "Run",
        "TunedModel",
        "figures",
        "list_runs",
        "live_report",
        "open_run",
        "side_by_side",
        "write_report",
    ),
    "plans": ("Alternatives", "Plan", "aplan", "plan"),
    "previews": ("Preview", "apreview", "preview"),
    "rl_environments": ("load_environment",),
    "retraining": ("aretrain", "plan_retrain", "retrain"),
    "running": ("aresume", "arun", "resume", "run"),
}
"""Which module has which names; the imports above say the same to type checkers."""
__all__ = [
    "Alternatives",
    "Decider",
    "Decision",
    "Family",
    "Game",
    "Plan",
    "Preview",
    "Run",
    "TunedModel",
    "aablate",
    "ablate",
    "acleanup",
    "adoctor",
    "aevaluate",
    "aplan",
    "apreview",
    "aresume",
    "aretrain",
    "arun",
    "cleanup",
    "compare_profiles",
    "doctor",
    "evaluate",
    "figures",
    "get_model",
    "init",
    "list_families",
    "list_profiles",
    "list_runs",
    "live_report",
    "load_environment",
    "make_checkpoint",
    "open_family",
    "open_run",
    "plan",
    "plan_ablate",
    "plan_evaluate",
    "plan_retrain",
    "preview",
    "resume",
    "retrain",
    "run",
    "save_log",
    "side_by_side",
    "write_report",
]

__getattr__ = lazily(__name__, _MODULES)


def __dir__() -> list[str]:
    return __all__
