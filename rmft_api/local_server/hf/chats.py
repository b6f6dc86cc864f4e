"""Chats as a checkpoint's own template and tokenizer write them.

What is learned is what is sampled: the tokens before an answer are those that the model is given
when it is asked, and the tokens of the answer end with the token that ends its turn.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from rmft_api.core.errors import ConfigError
from rmft_api.local_server.engine import (
    ChatMessage,
    ChatPair,
    ExampleError,
    beyond_context,
)
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.controls import Controls
from rmft_api.local_server.hf.packages import package

UNLEARNED = -100
"""The label of a token that does not count in the loss (torch's convention)."""
_LEAST_ANSWER = 1
_ANSWER = "answer"


class TokenizedExample(NamedTuple):
    """One row of training data."""

    tokens: list[int]
    labels: list[int]


class TokenizedPair(NamedTuple):
    """A prompt and two answers, in tokens."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


class ChatTokenizer:
    """The template and the tokenizer of one checkpoint. Raises ConfigError without a template."""

    def __init__(self, checkpoint: CheckpointFolder) -> None:
        self.tokenizer: Any = _loaded(package("transformers").AutoTokenizer, checkpoint)
        if not self.tokenizer.chat_template:
            raise ConfigError(
                f"{checkpoint.folder.name!r} has no chat template, so it is not a chat model; use "
                "its instruction-tuned sibling, or put a chat_template.jinja into its folder"
            )
        self.controls = Controls(self.tokenizer)
        self.context = checkpoint.context
        end = self.tokenizer.eos_token_id
        self._thinking = checkpoint.settings.thinking
        self.marks: dict[str, int] = self.tokenizer.get_added_vocab()
        shown: frozenset[int] = frozenset() if end is None else frozenset({int(end)})
        self.ends = checkpoint.ends | shown | self._turn_ends()
        if not self.ends:
            raise ConfigError(f"{checkpoint.folder.name!r} names no token that ends an answer")
        self._prompt = lru_cache(maxsize=4096)(self._prompt_tokens)

    def prompt(self, messages: tuple[ChatMessage, ...]) -> tuple[int, ...]:
        """The tokens that an answer follows. Raises ExampleError."""
        return self._prompt(messages)

    def _prompt_tokens(self, messages: tuple[ChatMessage, ...]) -> tuple[int, ...]:
        tokens = tuple(self._tokens(self._written(messages, waiting=True)))
        self._require_room(len(tokens) + _LEAST_ANSWER)
        return tokens

    def sequences(self, messages: Sequence[ChatMessage]) -> list[TokenizedExample]:
        """Rows that teach every answer of weight 1 once. Raises ExampleError.

        One row holds them all where the template repeats earlier answers as they were given; a
        template that changes them (without their thoughts, say) gets a row for each.
        """
        rows: list[TokenizedExample] = []
        for at in self._learned(messages):
            prompt, answer = self._asked_and_answered(messages, at)
            row = TokenizedExample(prompt + answer, [UNLEARNED] * len(prompt) + answer)
            if rows and prompt[: len(rows[-1].tokens)] == rows[-1].tokens:
                labels = rows[-1].labels + row.labels[len(rows[-1].tokens) :]
                rows[-1] = row._replace(labels=labels)
            else:
                rows.append(row)
            self._require_room(len(row.tokens))
        return rows

    def _learned(self, messages: Sequence[ChatMessage]) -> list[int]:
        places = [
            place
            for place, message in enumerate(messages)
            if message.role == "assistant" and message.weight
        ]
        if not places:
            raise ExampleError("the chat has no assistant message with weight 1 to learn from")
        if places[0] == 0:
            raise ExampleError("the chat begins with the assistant; a user message must come first")
        return places

    def pair(self, preference: ChatPair) -> TokenizedPair:
        """Both answers to one prompt. Raises ExampleError."""
        (prompt, chosen), (_, rejected) = (
            self._asked_and_answered(chat, len(chat) - 1) for chat in preference.chats()
        )
        self._require_room(len(prompt) + max(len(chosen), len(rejected)))
        return TokenizedPair(prompt, chosen, rejected)

    def _asked_and_answered(
        self, messages: Sequence[ChatMessage], at: int
    ) -> tuple[list[int], list[int]]:
        """Tokens before answer `at`, and those of the answer with its end."""
        before = self._written(messages[:at], waiting=True)
        after = self._written(messages[: at + 1], waiting=False)
        shown = after.startswith(before)
        text = after[len(before) :] if shown else self._turn(messages[at])["content"]
        answer = self._tokens(text)
        return self._tokens(before), self._ended(answer)

    def _ended(self, answer: list[int]) -> list[int]:
        """Up to the first token that ends a turn; with one where the template writes none."""
        for place, token in enumerate(answer):
            if token in self.ends:
                return answer[: place + 1]
        end = self.tokenizer.eos_token_id
        return [*answer, min(self.ends) if end is None else int(end)]

    def _turn_ends(self) -> frozenset[int]:
        """The token that the template writes after an answer, where it is one of a turn's own.

        Some checkpoints (Gemma 2's) name only the end of a text in their files.
        """
        chat = [ChatMessage("user", "?"), ChatMessage("assistant", _ANSWER)]
        try:
            after = self._written(chat, waiting=False).rpartition(_ANSWER)[2]
        except ExampleError:
            return frozenset()
        added: dict[int, Any] = self.tokenizer.added_tokens_decoder
        first = self._tokens(after.lstrip())[:1]
        return frozenset(token for token in first if token in added and added[token].special)

    def _written(self, messages: Sequence[ChatMessage], *, waiting: bool) -> str:
        template_error: type[Exception] = package("jinja2").TemplateError
        turns = [self._turn(message) for message in messages]
        try:
            return self._render(turns, waiting)
        except template_error as error:
            reason = error
        if turns[0]["role"] == "system" and len(turns) > 1:  # Gemma's templates know no system turn
            text = f"{turns[0]['content']}\n\n{turns[1]['content']}"
            try:
                return self._render([{**turns[1], "content": text}, *turns[2:]], waiting)
            except template_error as error:
                reason = error
        raise ExampleError(f"the model's chat template refuses this chat: {reason}") from reason

    def _turn(self, message: ChatMessage) -> dict[str, str]:
        role, text = message.role, message.content
        return {"role": role, "content": self.controls.hide(role, text)}

    def _render(self, turns: list[dict[str, str]], waiting: bool) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                turns,
                tokenize=False,
                add_generation_prompt=waiting,
                enable_thinking=self._thinking,
            )
        )

    def _tokens(self, text: str) -> list[int]:
        """Only the template writes special tokens."""
        return self.controls.tokens(text, self._encode)

    def _encode(self, text: str) -> Sequence[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _require_room(self, tokens: int) -> None:
        if tokens > self.context:
            raise beyond_context(tokens, self.context)

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say; special ones say nothing."""
        return str(
            self.tokenizer.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


def _loaded(kind: Any, checkpoint: CheckpointFolder) -> Any:
    try:
        return kind.from_pretrained(str(checkpoint.folder), local_files_only=True)
    except Exception as error:  # a damaged file raises whatever its parser does
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"the tokenizer of {checkpoint.folder.name!r} cannot be read: {reason}"
        ) from error
