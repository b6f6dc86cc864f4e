"""Many odd and malformed replies through the reader of chats: none that is no answer is scored.

The generator knows what each reply is, by how it was drawn; the suite tries 1,500 of them. Here:
`python -m benchmarks.odd_replies 60000`. It ends with how many were what, or at the first mistake.
"""

import sys
import time
from collections import Counter

from rmft_api.core.errors import ProviderFault
from tests.providers import odd_replies
from tests.providers.test_replies import check, follow, judged, read

RULES = ("separate", "fallback", "inline")


def main() -> None:
    """Try as many as the first argument says."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
    found: Counter[str] = Counter()
    begun = time.process_time()
    for seed in range(number):
        found[f"drawn: {_drawn(seed)}"] += 1
        body = odd_replies.mutated(seed)
        for rule in RULES:
            found[f"mutated: {_mutated(body, rule)}"] += 1
    for what, count in sorted(found.items()):
        print(f"{count:9,d} {what}")
    print(f"{time.process_time() - begun:9.1f} s of CPU")


def _drawn(seed: int) -> str:
    drawn = odd_replies.drawn(seed)
    try:
        reply = read(drawn.body, drawn.n, drawn.headers, **drawn.profile)
    except ProviderFault as fault:
        assert drawn.truth == "none", (seed, str(fault))
        follow(drawn, fault)
        return fault.kind
    check(drawn, reply)
    return f"read, {'an answer' if drawn.truth == 'answer' else 'words that are none'}"


def _mutated(body: bytes, rule: str) -> str:
    try:
        reply = read(body, thoughts=rule)
    except ProviderFault as fault:
        return fault.kind
    judged(reply.choices[0])
    return "read"


if __name__ == "__main__":
    main()
