"""Chats as token ids, by the base's own tokenizer and chat template.

A trained answer begins where a chat would be answered: after the template's prompt for an answer,
without thoughts (`enable_thinking`, as hybrid models' templates name it). It ends with the token
that ends a turn, which is read from the template too. Both are what the renderers of
tinker-cookbook do for each family by hand.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec

from rmft_api.core.errors import ConfigError, DataError
from rmft_api.providers.tinker.wire import WeightedTokens

TOKENIZER_ENV = "RMFT_TINKER_TOKENIZER"
"""Environment variable: a folder, or a repository of the hub, with the base's tokenizer."""
_EXTRA = "pip install 'rmft-api[tinker]'"
Chat = Sequence[Mapping[str, Any]]


class TinkerTokenizer:
    """One base's tokenizer and template."""

    def __init__(self, folder: Path, base: str) -> None:
        """Raises ConfigError for a folder without them."""
        from tokenizers import Tokenizer

        self._base = base
        config = _json(folder / "tokenizer_config.json")
        template = folder / "chat_template.jinja"
        text = template.read_text() if template.is_file() else config.get("chat_template")
        if not isinstance(text, str) or not (folder / "tokenizer.json").is_file():
            raise ConfigError(
                f"{folder} has no tokenizer.json with a chat template for {base!r}; set "
                f"{TOKENIZER_ENV} to a folder or repository that has"
            )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._template = _compiled(text)
        self._named = {
            name: _text(config.get(name)) for name in ("bos_token", "eos_token", "pad_token")
        }
        added = cast("dict[int, Any]", self._tokenizer.get_added_tokens_decoder())
        self._special = sorted(
            (token.content for token in added.values() if token.special), key=len, reverse=True
        )

    def examples(self, content: bytes) -> tuple[WeightedTokens, ...]:
        """A training file's lines. Raises DataError, with its line."""
        found: list[WeightedTokens] = []
        for number, line in enumerate(content.split(b"\n"), 1):
            if line.strip():
                try:
                    found += self._of_row(msgspec.json.decode(line, type=dict[str, Any]))
                except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
                    raise DataError(f"line {number} of the dataset: {error}") from error
        return tuple(found)

    def _of_row(self, row: dict[str, Any]) -> list[WeightedTokens]:
        """One example where the trained answers share a chat, else one for each of them."""
        chat = cast("list[dict[str, Any]]", row["messages"])
        trained = [
            place
            for place, message in enumerate(chat)
            if message["role"] == "assistant" and message.get("weight", 1) != 0
        ]
        if not trained:
            raise ValueError("no answer of the assistant has weight")
        answered = [self._answered(chat, place) for place in trained]
        whole = list(answered[-1].tokens)
        weights = [0.0] * len(whole)
        for one in answered:
            if whole[: len(one.tokens)] != list(one.tokens):
                return answered
            for place, weight in enumerate(one.weights):
                weights[place] = max(weights[place], weight)
        return [WeightedTokens(tuple(whole), tuple(weights))]

    def _answered(self, chat: Chat, place: int) -> WeightedTokens:
        """The prompt for this answer, the answer, and the token that ends it."""
        answer = _text(chat[place]["content"])
        prompt = self._ids(self._rendered(chat[:place], prompt=True))
        said = self._ids(answer + self._end_of_turn(chat[: place + 1], answer))
        return WeightedTokens((*prompt, *said), (0.0,) * len(prompt) + (1.0,) * len(said))

    def _end_of_turn(self, chat: Chat, answer: str) -> str:
        """The first special token after an answer."""
        tail = self._rendered(chat, prompt=False)
        tail = tail[tail.rindex(answer.strip()) + len(answer.strip()) :]
        places = {tail.find(token): token for token in reversed(self._special) if token in tail}
        if not places:
            raise ValueError(f"the chat template of {self._base} ends no turn with a special token")
        return places[min(places)]

    def _rendered(self, chat: Chat, *, prompt: bool) -> str:
        return self._template.render(
            messages=[{"role": one["role"], "content": _text(one["content"])} for one in chat],
            add_generation_prompt=prompt,
            enable_thinking=False,
            **self._named,
        )

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def tokenizer_of(base: str, environ: Mapping[str, str]) -> TinkerTokenizer:
    """The tokenizer that the environment names, else the base's own from the hub.

    Raises ConfigError where it is not to be had.
    """
    named = environ.get(TOKENIZER_ENV, "").strip() or base.partition(":")[0]
    try:
        import jinja2
        import tokenizers
    except ImportError as error:
        raise ConfigError(f"training at Tinker renders chats here: {_EXTRA}") from error
    del jinja2, tokenizers
    folder = Path(named).expanduser()
    return TinkerTokenizer(folder if folder.is_dir() else _downloaded(named), base)


def _downloaded(repository: str) -> Path:
    """The folder of a repository's tokenizer, from the hub or its cache."""
    try:
        from huggingface_hub import (
            snapshot_download,  # pyright: ignore[reportUnknownVariableType]
        )

        wanted = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
        download = cast("Callable[..., str]", snapshot_download)
        return Path(download(repository, allow_patterns=wanted))
    except ImportError as error:
        raise ConfigError(f"training at Tinker renders chats here: {_EXTRA}") from error
    except Exception as error:
        raise ConfigError(
            f"no tokenizer of {repository!r} could be had from the hub "
            f"({type(error).__name__}); set {TOKENIZER_ENV} to a folder with tokenizer.json and "
            "tokenizer_config.json"
        ) from error


def _compiled(template: str) -> Any:
    """The template as transformers compiles it: in a sandbox, for it is somebody else's code."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    cast("dict[str, Any]", environment.globals).update(
        {"raise_exception": _refuse, "strftime_now": _now}
    )
    return environment.from_string(template)


def _refuse(message: str) -> None:
    raise ValueError(f"the chat template refuses it: {message}")


def _now(form: str) -> str:
    return datetime.now(UTC).strftime(form)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _json(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return {}


def _text(value: Any) -> str:
    """A text, or a token with its properties."""
    if isinstance(value, dict):
        return str(cast("dict[str, Any]", value).get("content", ""))
    return "" if value is None else str(value)
