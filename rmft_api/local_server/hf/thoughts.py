"""Thoughts before an answer: no part of it on OpenAI's wire.

Checkpoints that think (Qwen3) write them between two tokens of their own. Where the template lets
them (`thinking`), or where they do so unasked, they cost tokens and are not sent.
"""

from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.controls import THOUGHTS

BEGIN, END = THOUGHTS


class Thoughts:
    """Takes the tokens of one answer in order."""

    def __init__(self, chats: ChatTokenizer) -> None:
        self._chats = chats
        self._state = "before"

    def swallow(self, token: int) -> bool:
        """Whether a token is no part of the answer: a thought, or the empty lines around it."""
        if self._state == "answering":
            return False
        marked = token == self._chats.marks.get(BEGIN if self._state == "before" else END)
        if self._state == "thinking":
            self._state = "after" if marked else "thinking"
            return True
        if marked and self._state == "before":
            self._state = "thinking"
            return True
        if self._state == "after" and not self._chats.text([token]).strip():
            return True
        self._state = "answering"
        return False
