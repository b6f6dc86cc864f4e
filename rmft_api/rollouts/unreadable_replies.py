"""Why replies cannot be read, in one line: one of them, the form asked for, what to change."""

from rmft_api.config.schema import RunConfig
from rmft_api.core.answer_forms import TOOL, is_own
from rmft_api.core.errors import UnreadableError
from rmft_api.prompts import own_forms
from rmft_api.prompts.reader import CLOSING, OPENING, Cause
from rmft_api.rollouts.validity import Sample, TooFew

SHOWN = 160
"""Characters of a reply that a message quotes."""
_WORDS: dict[Cause, str] = {
    "refused": "refused by the model",
    "filtered": "stopped by a content filter",
    "cut": "cut at the token limit",
    "only_thoughts": "empty beside their thoughts",
    "empty": "empty",
    "no_answer": "without an answer",
    "several_answers": "with several answers",
    "text_after": "with text after the answer",
    "wrong_form": "with an answer of another form",
    "tool_call": "with a call of a tool that was not offered",
}


def unreadable(found: TooFew, what: str, model: str, config: RunConfig) -> UnreadableError:
    """The error of a split too little of which can be read. `what` was being done by `model`."""
    sample = found.sample
    seen = _seen(found) if found.causes else ""
    parts = [
        f"{what}: {_share(found)} of {model!r} can be read{seen}",
        *(() if sample is None else (f"one of them: {_quoted(sample)} ({sample.why})",)),
        f"asked for: {form(config, sample)}",
        *(() if sample is None else (likely(sample, config),)),
        _way_on(config),
    ]
    return UnreadableError("; ".join(parts))


def form(config: RunConfig, sample: Sample | None) -> str:
    """What the reader requires."""
    output, way = config.prompts.output, config.prompts.answer
    if is_own(config.prompts.answer_form):
        return f"the form of {way}: {own_forms.of(config.prompts.answer_form).words!r}"
    if way != "tag":
        return _object_form(config, sample)
    if output == "policy":
        K = f"{len(sample.names)} " if sample else ""
        return f'{OPENING}{{"policy":[{K}probabilities]}}{CLOSING}, or that JSON alone'
    inside = "NAME" if output == "action" else "NAME:weight,NAME:weight"
    names = f" with NAME one of {', '.join(sample.names)}" if sample else ""
    return f"{OPENING}{inside}{CLOSING}{names}, once and last"


def _object_form(config: RunConfig, sample: Sample | None) -> str:
    """What the reader requires of JSON and of tool calls."""
    names = f" with NAME one of {', '.join(sample.names)}" if sample else ""
    inside = {
        "action": '{"answer": "NAME"}' + names,
        "distribution": '{"answer": {"NAME": weight, ...}}' + names,
        "policy": '{"policy": [probabilities]}',
    }[config.prompts.output]
    if config.prompts.answer == "tool":
        return f"one call of the tool {TOOL!r} with the arguments {inside}"
    return f"the JSON object {inside}, and nothing else but 'reasoning' in it"


WARMED: frozenset[Cause] = frozenset(
    {"cut", "no_answer", "several_answers", "text_after", "wrong_form"}
)
"""What a model does that has not learnt the form of an answer."""


def likely(sample: Sample, config: RunConfig) -> str:
    """The likely cause, and its fix."""
    if config.warm_up is not None and sample.cause in WARMED:
        few = f"warm_up.scenarios = {config.warm_up.scenarios} taught too little of the form"
        return f"likely {few}: raise it; or {_by_cause(sample, config)}"
    return f"likely {_by_cause(sample, config)}"


def _by_cause(sample: Sample, config: RunConfig) -> str:
    most, words = config.sampling.max_tokens, config.prompts.set
    longer = f"raise sampling.max_tokens = {most}"
    other = (
        f"prompts.set = {words!r} may not be what it was trained with (rmft-tiny: 'compact'), or "
        "it is too small for the task"
    )
    silent = sample.cause == "cut" and not sample.text.strip()
    says: dict[Cause, str] = {
        "cut": (
            f"the prompt fills the model's context, or hidden thoughts use up all of "
            f"sampling.max_tokens = {most}; {other}"
            if silent
            else f"sampling.max_tokens = {most} ends replies before their answer: raise it"
        ),
        "only_thoughts": (
            "the endpoint returns the whole reply as thoughts: serve the model without a "
            "reasoning parser or with thinking off, or have the thoughts read where nothing "
            f"follows them: chat.thoughts = 'fallback' in its profile; or {longer}"
        ),
        "empty": (
            "the endpoint sends no content: look at the chat template and the log of its server; "
            f"if the model thinks first, {longer}"
        ),
        "no_answer": f"the model does not follow the form: {other}",
        "several_answers": (
            "the model quotes the form or thinks aloud, which makes several answers: have the "
            "server return thoughts separately, or set prompts.reasoning = 'none'"
        ),
        "text_after": f"the model continues after its answer: {other}",
        "wrong_form": f"the model answers in another form: {other}",
        "tool_call": (
            "the endpoint parses the model's text as tool calls: serve it without a tool parser, "
            "or set prompts.answer = 'tool' and let it call the tool that is offered"
        ),
        "refused": "the model refuses the task: try another prompts.story, or another model",
        "filtered": "the provider's filter stops it: try another prompts.story",
    }
    return says.get(sample.cause, "the endpoint")


def _share(found: TooFew) -> str:
    if not found.valid:
        return f"none of the first {found.replies} replies"
    return f"only {found.valid} of the first {found.replies} replies"


def _seen(found: TooFew) -> str:
    counts = (f"{count} {_WORDS.get(cause, cause)}" for cause, count in found.causes.items())
    before = found.replies - found.valid - sum(found.causes.values())
    return f" ({', '.join([*counts, *([f'{before} read before'] if before > 0 else [])])})"


def _quoted(sample: Sample) -> str:
    text = sample.text
    short = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}\u2026"
    return repr(short)


def _way_on(config: RunConfig) -> str:
    """What can be done, and what becomes of what was paid."""
    resume = f"`rmft-api resume {config.name}"
    again = (
        f"{resume} --ask-again` once the endpoint is fixed (requests and pays for it again), "
        if config.requests.transport == "direct"
        else ""
    )
    return (
        "nothing more was sent. Changed settings need another name; else "
        f"{again}or {resume} --min-valid 0` to continue and score such replies as the worst action"
    )
