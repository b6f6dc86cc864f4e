"""Tokens as a checkpoint's own files count them: its tokenizer and its chat template, no torch.

The tokens that the local server makes of a chat are counted here
(tests/local_server/hf/test_counts.py holds both together).
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

from rmft_api.datasets.tokens import TokenCounter, TokenizedMessage

TOKENIZER, SETTINGS, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
_ANSWER_END = 1
"""Tokens that end an answer."""
_PROBE = ({"role": "system", "content": "a"}, {"role": "user", "content": "b"})


class CheckpointCounter(TokenCounter):
    """Counts as the model's own server does."""

    def __init__(self, folder: Path, tokenizer: Any, template: Any, words: dict[str, Any]) -> None:
        def count(text: str) -> int:
            return len(tokenizer.encode(text, add_special_tokens=False).ids)

        super().__init__(f"the tokenizer of {folder.name}", 0.0, count)
        self._template, self._words = template, words

    def chat(self, messages: Iterable[TokenizedMessage]) -> int:
        """Tokens of a prompt; of an example, where the chat ends with an answer."""
        turns = [{"role": one.role, "content": one.content} for one in messages]
        if not turns or turns[-1]["role"] != "assistant":
            return self.text(self._written(turns))
        return self.text(self._written(turns[:-1])) + self.text(turns[-1]["content"]) + _ANSWER_END

    def _written(self, turns: Sequence[dict[str, str]]) -> str:
        """The chat as the template opens an answer to it."""
        try:
            return self._render(turns)
        except Exception:  # a template raises its own; some know no system turn (Gemma's)
            if len(turns) < 2 or turns[0]["role"] != "system":
                raise
        joined = f"{turns[0]['content']}\n\n{turns[1]['content']}"
        return self._render([{**turns[1], "content": joined}, *turns[2:]])

    def _render(self, turns: Sequence[dict[str, str]]) -> str:
        return str(self._template.render(messages=turns, add_generation_prompt=True, **self._words))


@cache
def counter_of(folder: Path, *, thinking: bool = False) -> TokenCounter | None:
    """The counter of a checkpoint in Hugging Face's format; None where its files do not say."""
    try:
        import jinja2
        import tokenizers
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        return None
    try:
        settings = cast("dict[str, Any]", json.loads((folder / SETTINGS).read_bytes()))
        text = _template(folder, settings)
        if text is None:
            return None
        kind: Any = tokenizers.Tokenizer
        tokenizer = kind.from_file(str(folder / TOKENIZER))
        place = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        place.globals["raise_exception"] = _refuse  # pyright: ignore[reportArgumentType]
        words = {"enable_thinking": thinking, **_special(settings)}
        found = CheckpointCounter(folder, tokenizer, place.from_string(text), words)
        found.chat([_Turn(**one) for one in _PROBE])
    except (OSError, ValueError, KeyError, jinja2.TemplateError):
        return None
    except Exception as error:  # the tokenizers library has no class of its own for a damaged file
        if type(error) is not Exception:
            raise
        return None
    return found


class _Turn:
    def __init__(self, role: str, content: str) -> None:
        self.role, self.content = role, content


def _template(folder: Path, settings: dict[str, Any]) -> str | None:
    file = folder / TEMPLATE
    if file.is_file():
        return file.read_text(encoding="utf-8")
    inside = settings.get("chat_template")
    return inside if isinstance(inside, str) else None


def _special(settings: dict[str, Any]) -> dict[str, str]:
    """The tokens that templates name, as words: `bos_token` and its like."""
    names = ("bos_token", "eos_token", "pad_token", "unk_token")
    found = {name: settings.get(name) for name in names}
    words = {
        name: cast("dict[str, Any]", one).get("content") if isinstance(one, dict) else one
        for name, one in found.items()
    }
    return {name: word for name, word in words.items() if isinstance(word, str)}


def _refuse(message: str) -> None:
    from jinja2 import TemplateError

    raise TemplateError(message)
