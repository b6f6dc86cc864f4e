"""The public Python API. Nothing is imported before it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmft_api.api.ablations import aablate, ablate, plan_ablate
    from rmft_api.api.checks import acleanup, adoctor, cleanup, doctor, init, list_profiles
    from rmft_api.api.decider import Decider
    from rmft_api.api.decision_game import Decision, Game
    from rmft_api.api.evaluations import aevaluate, evaluate, plan_evaluate
    from rmft_api.api.fetching import get_model, make_checkpoint
    from rmft_api.api.log_files import save_log
    from rmft_api.api.opened_run import Run, TunedModel, list_runs, open_run
    from rmft_api.api.plans import Plan, aplan, plan
    from rmft_api.api.previews import Preview, apreview, preview
    from rmft_api.api.retraining import aretrain, plan_retrain, retrain
    from rmft_api.api.running import aresume, arun, resume, run

_MODULES = {
    "aretrain": "rmft_api.api.retraining",
    "retrain": "rmft_api.api.retraining",
    "aablate": "rmft_api.api.ablations",
    "ablate": "rmft_api.api.ablations",
    "adoctor": "rmft_api.api.checks",
    "doctor": "rmft_api.api.checks",
    "acleanup": "rmft_api.api.checks",
    "cleanup": "rmft_api.api.checks",
    "list_profiles": "rmft_api.api.checks",
    "init": "rmft_api.api.checks",
    "Decider": "rmft_api.api.decider",
    "Decision": "rmft_api.api.decision_game",
    "Game": "rmft_api.api.decision_game",
    "save_log": "rmft_api.api.log_files",
    "get_model": "rmft_api.api.fetching",
    "make_checkpoint": "rmft_api.api.fetching",
    "Plan": "rmft_api.api.plans",
    "aevaluate": "rmft_api.api.evaluations",
    "Preview": "rmft_api.api.previews",
    "aplan": "rmft_api.api.plans",
    "apreview": "rmft_api.api.previews",
    "aresume": "rmft_api.api.running",
    "arun": "rmft_api.api.running",
    "evaluate": "rmft_api.api.evaluations",
    "plan": "rmft_api.api.plans",
    "plan_ablate": "rmft_api.api.ablations",
    "plan_evaluate": "rmft_api.api.evaluations",
    "plan_retrain": "rmft_api.api.retraining",
    "preview": "rmft_api.api.previews",
    "resume": "rmft_api.api.running",
    "run": "rmft_api.api.running",
    "Run": "rmft_api.api.opened_run",
    "TunedModel": "rmft_api.api.opened_run",
    "list_runs": "rmft_api.api.opened_run",
    "open_run": "rmft_api.api.opened_run",
}
__all__ = [
    "Decider",
    "Decision",
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
    "doctor",
    "evaluate",
    "get_model",
    "init",
    "list_profiles",
    "list_runs",
    "make_checkpoint",
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
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'rmft_api.api' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
