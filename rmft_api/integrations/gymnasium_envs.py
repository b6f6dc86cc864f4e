"""Gymnasium environments of the suites that ship; importing this module registers them.

    import gymnasium
    import rmft_api.integrations.gymnasium_envs

    gymnasium.make("rmft-api/k24-v0")          # arrays: counts and means in, a number out
    gymnasium.make("rmft-api/k24-text-v0")     # the words of a run in, a reply out

An episode is one trajectory, of a fresh scenario in every reset. The reward is what the action
earns. The last step's `info` has the regret and the measures of exploration.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rmft_api import suites
from rmft_api.integrations.problems import measures_of, problems_of_suite
from rmft_api.rollouts import preparation
from rmft_api.rollouts.episodes import Episode, EpisodeStep

NAMESPACE = "rmft-api"
LONGEST = 1_000_000
"""Characters of an observation or of a reply."""
FRESH = 2**31
"""Scenarios are drawn by numbers below it."""


class _SuiteEnv:
    """What both kinds share: episodes of a suite."""

    def __init__(self, suite: str, overrides: Mapping[str, Any] | None) -> None:
        self.problems = problems_of_suite(suite, overrides, "train")
        self.by_number = self.problems.config.prompts.output == "action"
        every = preparation.problems_of(self.problems.config, "train")
        self.K = max(problem.K for problem in every)
        self.T = max(problem.T for problem in every)
        self.episode: Episode | None = None

    def begin(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> Episode:
        """A fresh scenario, or `options["scenario"]` by its number."""
        chosen = (options or {}).get("scenario")
        index = int(rng.integers(FRESH)) if chosen is None else int(chosen)
        self.episode = self.problems.episode(index)
        return self.episode

    def playing(self) -> Episode:
        """The episode under way. Raises RuntimeError before `reset`."""
        if self.episode is None:
            raise RuntimeError("call reset() before step()")
        return self.episode


def _info(episode: Episode, step: EpisodeStep | None) -> dict[str, Any]:
    """What is shown beside the observation; the measures once the episode is over."""
    scenario = episode.scenario
    found: dict[str, Any] = {"scenario": scenario.index, "names": scenario.names, "t": episode.t}
    if step is not None:
        found["valid"] = step.action is not None
    return {**found, **measures_of(episode)} if episode.over else found


class TextEnv(gymnasium.Env[str, str]):
    """Words in, words out: exactly the messages of a run, and its reader of answers.

    A reply that cannot be read earns the least of its round.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 - Gymnasium's own name and form

    def __init__(
        self,
        suite: str,
        overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._suite, self.render_mode = _SuiteEnv(suite, overrides), render_mode
        self._text = ""
        charset = "\n\t" + "".join(map(chr, (*range(0x20, 0xD800), *range(0xE000, 0x10000))))
        self.observation_space = spaces.Text(LONGEST, min_length=0, charset=charset)
        self.action_space = spaces.Text(200, min_length=0, charset=charset)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin a trajectory; the observation is what a model would be sent."""
        super().reset(seed=seed)
        episode = self._suite.begin(self.np_random, options)
        self._text = _as_text(episode)
        return self._text, _info(episode, None)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Read a reply and continue."""
        episode = self._suite.playing()
        step = episode.answer(action)
        self._text = "" if episode.over else _as_text(episode)
        return self._text, step.reward, episode.over, False, _info(episode, step)

    def render(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - text alone
        """What was observed last."""
        return self._text


def _as_text(episode: Episode) -> str:
    """The messages of a chat, each under its role."""
    return "\n\n".join(f"[{one.role}]\n{one.content}" for one in episode.messages())


class ArrayEnv(gymnasium.Env[dict[str, Any], Any]):
    """Numbers in, numbers out: for learners without words.

    An action is a number; K weights to draw from where the suite asks for a distribution or policy.
    Observed are, for each of K actions, how often its reward was shown, its mean, and whether it
    can be taken (`mask`); and the share of rounds that are over. Problems of fewer actions than the
    suite's largest K mask the rest; one that cannot be taken earns the least of its round.
    """

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 - Gymnasium's own name and form

    def __init__(
        self,
        suite: str,
        overrides: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._suite, self.render_mode = _SuiteEnv(suite, overrides), render_mode
        K = self._suite.K
        number, weights = spaces.Discrete(K), spaces.Box(0.0, 1.0, (K,), np.float64)
        self.action_space = number if self._suite.by_number else weights
        self.observation_space = spaces.Dict(
            {
                "counts": spaces.Box(0.0, float(self._suite.T), (K,), np.float64),
                "means": spaces.Box(-np.inf, np.inf, (K,), np.float64),
                "mask": spaces.MultiBinary(K),
                "progress": spaces.Box(0.0, 1.0, (1,), np.float64),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin a trajectory."""
        super().reset(seed=seed)
        episode = self._suite.begin(self.np_random, options)
        return self._observed(episode), _info(episode, None)

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an action and continue."""
        episode = self._suite.playing()
        if self._suite.by_number:
            step = episode.act(int(action))
        else:
            step = episode.act_by(action[: episode.scenario.scenario.K].tolist())
        return self._observed(episode), step.reward, episode.over, False, _info(episode, step)

    def render(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - text alone
        """The rounds so far: which action, and what it earned."""
        return "\n".join(
            f"{t}. {one.action} {'' if one.action is None else one.rewards[one.action]}"
            for t, one in enumerate(self._suite.playing().rounds, start=1)
        )

    def _observed(self, episode: Episode) -> dict[str, Any]:
        K, full = self._suite.K, episode.scenario.scenario.feedback == "full"
        counts_K, sums_K = np.zeros(K), np.zeros(K)
        for one in episode.rounds:
            for action in range(len(one.rewards)) if full else [one.action]:
                if action is not None:
                    counts_K[action] += 1
                    sums_K[action] += one.rewards[action]
        mask_K = np.zeros(K, dtype=np.int8)
        mask_K[list(episode.possible)] = 1
        return {
            "counts": counts_K,
            "means": sums_K / np.maximum(counts_K, 1.0),
            "mask": mask_K,
            "progress": np.array([episode.t / episode.T]),
        }


def register() -> list[str]:
    """Register both kinds for every suite that ships; their ids. Done once, on import."""
    found: list[str] = []
    for suite in suites.names():
        for kind, made in (("", "ArrayEnv"), ("-text", "TextEnv")):
            name = f"{NAMESPACE}/{suite}{kind}-v0"
            if name not in gymnasium.registry:
                entry = f"{__name__}:{made}"
                options: dict[str, Any] = {"suite": suite}
                gymnasium.register(name, entry, kwargs=options)  # pyright: ignore[reportUnknownMemberType]
            found.append(name)
    return found


IDS = register()


def make(
    suite: str, overrides: Mapping[str, Any] | None = None, *, text: bool = False
) -> gymnasium.Env[Any, Any]:
    """An environment of a suite: a shipped name, or the path of a .toml file of yours.

    `overrides` are dotted keys of the suite with their values. Raises ConfigError.
    """
    return TextEnv(suite, overrides) if text else ArrayEnv(suite, overrides)
