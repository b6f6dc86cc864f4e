"""The messages of a run's rounds, as people read them and as programs do."""

from collections.abc import Iterator

import msgspec

from rmft_api.planning.previews import ParsedPreview, PreviewedRound, PreviewedScenario

_INDENT = "    "


def preview_text(shown: PreviewedScenario) -> str:
    """Every message of every round, each round under its tokens and its cost."""
    return "\n".join([_title(shown), *_rounds(shown), *map(_reply, shown.replies)])


def preview_json(shown: PreviewedScenario) -> str:
    """One JSON object; money in US dollars, null is "unknown"."""
    return msgspec.json.encode(shown).decode()


def _title(shown: PreviewedScenario) -> str:
    about = "exact" if shown.tokens_exact else "an estimate"
    return (
        f"{shown.model}: {shown.split} scenario {shown.scenario}, story {shown.story}, "
        f"actions {', '.join(shown.names)}, {shown.T} rounds; tokens by {shown.tokens_basis}"
        + ("" if shown.tokens_basis.startswith("an estimate") else f" ({about})")
    )


def _rounds(shown: PreviewedScenario) -> Iterator[str]:
    for one in shown.rounds:
        yield ""
        yield f"round {one.round}: {_weight(one)}"
        for message in one.messages:
            yield f"  {message.role}"
            yield from (f"{_INDENT}{line}" for line in message.content.split("\n"))


def _weight(one: PreviewedRound) -> str:
    sizes = f"{one.prompt_tokens} tokens, and about {one.reply_tokens} for the reply"
    if one.cost_usd is None:
        return f"{sizes}; no price is known"
    return f"{sizes}; {_dollars(one.cost_usd)}"


def _dollars(usd: float) -> str:
    """Single requests cost little: enough digits to see what."""
    return "free" if not usd else f"${usd:.6f}"


def _reply(read: ParsedPreview) -> str:
    head = f"\nreply {read.reply!r}"
    if read.policy is None:
        return f"{head}\n{_INDENT}cannot be read ({read.status}): {read.why}"
    if read.action is not None:
        return f"{head}\n{_INDENT}is read as the action {read.action}"
    shares = ", ".join(f"{name} {share:.4g}" for name, share in read.policy.items())
    return f"{head}\n{_INDENT}is read as a draw from {shares}"
