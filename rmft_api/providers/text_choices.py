"""What is the same of a chat on every wire: how it is named in a fault, how its texts are read."""

from rmft_api.core.records import ChatRequest, Choice
from rmft_api.providers import empty_replies, faults, finish_reasons, thoughts
from rmft_api.providers.empty_replies import Tokens
from rmft_api.providers.profiles import Profile


def chat_to_answer(profile: Profile, request: ChatRequest, key_name: str) -> faults.Request:
    """What was asked, for a fault."""
    return faults.Request(
        profile.name,
        "answer a chat",
        model=request.model,
        tuned=profile.is_tuned(request.model),
        free=not profile.paid,
        key_name=key_name,
    )


def text_choice(
    profile: Profile,
    asked: faults.Request,
    said: str,
    thought: str,
    finish_reason: str | None,
    billed: Tokens | None,
) -> Choice:
    """The answer that a vendor's own wire gives as texts. Raises ProviderFault for none."""
    chat = profile.chat
    ending = finish_reasons.read(finish_reason, said=bool(said.strip()), own=chat.finish_reasons)
    if isinstance(ending, finish_reasons.Broken):
        raise empty_replies.broken(asked, ending, billed)
    content, thoughts_apart = thoughts.separated(said or None, thought or None, chat.thoughts)
    return Choice(content, ending, None, thoughts_apart)
