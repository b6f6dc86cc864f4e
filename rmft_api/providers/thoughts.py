"""What a reasoning model says to itself before it answers, separated from its answer.

Servers return thoughts in a field of their own, in parts of the content, or in the content itself,
in a block that begins it: `<think>...</think>`. Where a server's prompt opens the block already,
the reply holds its end alone; where the token limit cuts it, its beginning alone. Kimi writes the
block with triangles; gpt-oss writes channels, which a server may leave in.
"""

import re
from typing import Literal

Thoughts = Literal["separate", "fallback", "inline"]
_END = re.compile(
    r"</(?:think|thinking|thought|seed:think)>|\[/THINK\]|\u25c1/think\u25b7"
    r"|<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
_BEGIN = re.compile(
    r"\s*(?:<(?:think|thinking|thought|seed:think)>|\[THINK\]|\u25c1think\u25b7"
    r"|<\|channel\|>analysis<\|message\|>)",
    re.IGNORECASE,
)
_BEGINNINGS = ("<t", "<T", "<s", "<|", "[T", "\u25c1", " ", "\n", "\t", "\r")


def may_be_in(content: str) -> bool:
    """Whether a block may stand in a content: a quick look, for most hold none."""
    return (
        "</t" in content
        or "</s" in content
        or "[/T" in content
        or "</T" in content
        or "\u25c1/" in content
        or "final<|" in content
        or content.startswith(_BEGINNINGS)
    )


def separated(
    content: str | None, apart: str | None, rule: Thoughts
) -> tuple[str | None, str | None]:
    """The reply and the thoughts, by the profile's rule; `apart` came in a field of its own.

    separate: thoughts are no part of the reply. fallback: the same, but where nothing follows the
    thoughts, they are the reply. inline: thoughts are part of the reply, as a block before it.
    """
    if rule == "inline":
        return (f"<think>\n{apart}\n</think>\n\n{content or ''}" if apart else content), None
    reply, block = _split(content) if content else (content, None)
    if block is not None:
        apart = f"{apart}\n{block}" if apart else block
    if rule == "fallback" and apart and not (reply and reply.strip()):
        return apart, None
    return reply, apart or None


def _split(content: str) -> tuple[str | None, str | None]:
    """What follows the block, and the block; thoughts may quote its end, so the last one counts."""
    if ends := [*_END.finditer(content)]:
        return _parted(content, ends[-1].start(), ends[-1].end())
    opening = _BEGIN.match(content)
    return (None, content[opening.end() :].strip()) if opening else (content, None)


def _parted(content: str, start: int, end: int) -> tuple[str | None, str]:
    opening = _BEGIN.match(content)
    block = content[opening.end() if opening else 0 : start]
    return content[end:].lstrip() or None, block.strip()
