"""Replies of the OpenAI wire, read for what was asked: an answer, or the fault that it is.

Nothing is believed of a reply but what is needed: `n` choices that ended as answers do, from the
model that was asked. Where it states neither id nor model nor usage, nothing depends on them.
"""

import re
from collections.abc import Mapping, Sequence

from rmft_api.core.answer_forms import texts_of_calls, way_of
from rmft_api.core.errors import Mismatch, ProviderFault
from rmft_api.core.records import ChatRequest, ChatResponse, Choice, Usage
from rmft_api.providers import empty_replies, faults, finish_reasons
from rmft_api.providers import thoughts as thoughts_
from rmft_api.providers.completion import (
    Completion,
    OddReplyError,
    ParsedChoice,
    decode,
)
from rmft_api.providers.empty_replies import Tokens
from rmft_api.providers.finish_reasons import ENDS, Broken
from rmft_api.providers.profiles import Profile
from rmft_api.providers.text_choices import chat_to_answer


class Replies:
    """Reads what an endpoint replies to chats."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._traits = profile.chat
        self._thoughts: thoughts_.Thoughts = profile.chat.thoughts

    def read(
        self, request: ChatRequest, status: int, headers: Mapping[str, str], raw: bytes
    ) -> ChatResponse:
        """The response: exactly `request.n` choices, in order. Raises ProviderFault, classified."""
        if not 200 <= status < 300:
            raise self._refused(request, status, headers, raw)
        completion = self._decode(request, headers, raw)
        if completion.error is not None and empty_replies.is_no_answer(completion.error):
            raise empty_replies.failed(
                self.request(request),
                headers,
                completion.error,
                billed=_billed(completion),
                started=_said(completion),
            )
        choices = completion.choices
        if len(choices) != 1 or request.n != 1:
            choices = self._in_order(request, headers, completion)
        if completion.model and completion.model != request.model:
            self._check_model(request, completion)
        answers = tuple([self._choice(request, headers, completion, choice) for choice in choices])
        return ChatResponse(
            completion.id, completion.model or request.model, answers, completion.billed()
        )

    def request(self, request: ChatRequest) -> faults.Request:
        """What was asked, for a fault."""
        key_name = self._profile.api_key_env or "the key"
        return chat_to_answer(self._profile, request, key_name)

    def _refused(
        self, request: ChatRequest, status: int, headers: Mapping[str, str], raw: bytes
    ) -> ProviderFault:
        plain = empty_replies.legible(headers, raw)
        return faults.refused(self.request(request), status, headers, plain)

    def _decode(self, request: ChatRequest, headers: Mapping[str, str], raw: bytes) -> Completion:
        try:
            return decode(raw)
        except OddReplyError:
            plain = empty_replies.undone(self.request(request), headers, raw)
        try:
            return decode(plain)
        except OddReplyError as odd:
            raise faults.no_answer(
                self.request(request), str(odd), plain, mismatch=odd.mismatch
            ) from odd

    def _in_order(
        self, request: ChatRequest, headers: Mapping[str, str], completion: Completion
    ) -> Sequence[ParsedChoice]:
        """As many as were asked for; choices without numbers stand as they came."""
        numbers = [choice.index for choice in completion.choices]
        if numbers == _IN_ORDER[: request.n]:
            return completion.choices
        if len(numbers) < request.n:
            raise self._too_few(request, headers, completion)
        if request.n == 1:
            return completion.choices[:1]
        known = [number for number in numbers if number is not None]
        if not known:
            return completion.choices[: request.n]
        if len({*known}) < len(numbers):
            why = f"its choices are numbered {numbers}; set chat.n = 1 in its profile"
            mismatch = Mismatch("choices that are not numbered")
            raise faults.no_answer(
                self.request(request), why, mismatch=mismatch, billed=_billed(completion)
            )
        return sorted(completion.choices, key=_index)[: request.n]

    def _too_few(
        self, request: ChatRequest, headers: Mapping[str, str], completion: Completion
    ) -> ProviderFault:
        """The fault of choices that are missing: an error in one that came says more."""
        for choice in completion.choices:
            self._choice(request, headers, completion, choice)
        came = len(completion.choices)
        if not came:
            return faults.no_answer(
                self.request(request), "it holds no choice", billed=_billed(completion)
            )
        why = (
            f"{came} of {request.n} choices came; the endpoint ignores n: set chat.n = 1 in its "
            "profile"
        )
        mismatch = Mismatch("fewer choices than n")
        return faults.no_answer(
            self.request(request), why, mismatch=mismatch, billed=_billed(completion)
        )

    def _check_model(self, request: ChatRequest, completion: Completion) -> None:
        if not self._traits.check_model or _is_model(request.model, completion.model):
            return
        why = (
            f"{completion.model!r} answered where {request.model!r} was asked; if that is the same "
            "model, set chat.check_model = false in its profile, else begin another run with it"
        )
        # What another model took is not known by this one's price, so its tokens do not count.
        raise faults.no_answer(self.request(request), why, mismatch=Mismatch("another model"))

    def _choice(
        self,
        request: ChatRequest,
        headers: Mapping[str, str],
        completion: Completion,
        choice: ParsedChoice,
    ) -> Choice:
        message, ending = choice.message, choice.finish_reason
        if choice.error is not None or message.error is not None:
            self._refuse_errors(request, headers, completion, choice)
        if ending not in _PLAIN or choice.native_finish_reason is not None:
            ending = self._ending(request, completion, choice)
        content, apart = message.content, message.reasoning_content or message.reasoning
        if calls := message.tool_calls or message.function_call:
            content, ending = _with_calls(request, content, calls, ending)
        if not apart and (not content or not thoughts_.may_be_in(content)):
            return Choice(content, ending, message.refusal)
        content, thoughts = thoughts_.separated(content, apart, self._thoughts)
        return Choice(content, ending, message.refusal, thoughts)

    def _refuse_errors(
        self,
        request: ChatRequest,
        headers: Mapping[str, str],
        completion: Completion,
        choice: ParsedChoice,
    ) -> None:
        for error in (choice.error, choice.message.error):
            if empty_replies.is_no_answer(error):
                raise empty_replies.failed(
                    self.request(request),
                    headers,
                    error,
                    billed=_billed(completion),
                    started=_said(completion),
                )

    def _ending(self, request: ChatRequest, completion: Completion, choice: ParsedChoice) -> str:
        ending = finish_reasons.read(
            choice.finish_reason,
            native=choice.native_finish_reason,
            said=_words_of(choice),
            own=self._traits.finish_reasons,
        )
        if isinstance(ending, Broken):
            raise empty_replies.broken(self.request(request), ending, _billed(completion))
        return ending


_PLAIN = frozenset(ENDS.values())
"""The words that stand for themselves."""
_IN_ORDER = list(range(1024))


def _billed(completion: Completion) -> Tokens | None:
    """What a reply that is no answer was billed for; None: not known.

    Nothing, where it holds no words and says so.
    """
    usage: Usage | None = completion.billed()
    if usage is not None:
        return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
    counts = completion.usage
    is_zero = counts and not counts.prompt_tokens and not counts.completion_tokens
    return (0, 0, 0) if is_zero and not _said(completion) else None


def _said(completion: Completion) -> bool:
    return any(_words_of(choice) for choice in completion.choices)


def _words_of(choice: ParsedChoice) -> bool:
    message = choice.message
    said = message.refusal or (message.content and message.content.strip())
    return bool(said or message.tool_calls or message.function_call)


def _with_calls(
    request: ChatRequest, content: str | None, calls: object, ending: str
) -> tuple[str | None, str]:
    """The content with the calls of tools as text, where one was offered; else what ended it."""
    if request.answer is None or way_of(request.answer.form) != "tool":
        return content, ending if content and content.strip() else "tool_calls"
    called = texts_of_calls(calls)
    ending = "stop" if ending == "tool_calls" else ending
    return (f"{content}\n{called}" if content and content.strip() else called), ending


def _index(choice: ParsedChoice) -> int:
    return choice.index or 0


_DATED = re.compile(r"-[0-9]{4}-?[0-9]{2}-?[0-9]{2}")


def _is_model(asked: str, completion: str) -> bool:
    """The same model, or the dated snapshot that its name stands for."""
    if completion == asked:
        return True
    return completion.startswith(asked) and _DATED.fullmatch(completion[len(asked) :]) is not None
