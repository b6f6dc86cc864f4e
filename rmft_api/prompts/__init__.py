"""What a model is shown, made of template files alone (docs/method.md 7).

    folder of a prompt set --> PromptSet --for one scenario--> PromptBuilder --each round--> chat

A set is files of plain text with `$field`s, and its identity is the hash of those that are used:

    system.md user.md           the chat: task, framing, reasoning, output; round, history, said ...
    next.md silent.md           multi_turn only: later user turns; what stands for an empty reply
    scenarios/NAME/             task.md, actions.txt (a name a line), context.md for contextual ones
    framings/ reasonings/ outputs/NAME.md
    histories/NAME/             line.md all.md empty.md, and untried.md or unread.md (`histories`)
    outcome.md said.md unread.md context.md   the last reward, reason, mishap; what is seen now

Where feedback is full information, `X_full.md` is used instead of `X.md` if it exists (for a task:
`full.md`); where rounds have contexts, `X_context.md`. A template line whose fields are all empty
disappears. Every file, field and part is checked when the set is loaded.
"""

from typing import TYPE_CHECKING

from rmft_api.prompts.builder import ChatPromptBuilder
from rmft_api.prompts.sets import PromptSet, load, of_run, restored, stories_of_run

if TYPE_CHECKING:
    from rmft_api.prompts import (
        builder,
        contexts,
        own_forms,
        reader,
        reasons,
        templates,
    )

__all__ = [
    "ChatPromptBuilder",
    "PromptSet",
    "builder",
    "contexts",
    "load",
    "of_run",
    "own_forms",
    "reader",
    "reasons",
    "restored",
    "stories_of_run",
    "templates",
]
