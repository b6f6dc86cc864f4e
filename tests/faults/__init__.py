"""The fault matrix: the real command line, a fake provider, and ten promises kept after every stop.

    world        one run in a folder of its own: its provider, its processes, what they said
    child        what a process runs: the real command line, perhaps on faster clocks, or with a bug
    speed        faster clocks, so that an hour's wait takes a second
    bugs         protocol bugs planted on purpose, each of which the matrix must catch
    evidence     what a run left behind: datasets, models, figures, journal
    invariants   I1 to I10, and what each compares
    cases        a case: faults, crashes and signals, and what must come of them
    layers       the cases of layers A to F
    drive        a case from its first process to its last
    report       progress, the table, the JSON

`python -m tests.faults matrix | smoke | torture --seeds N | bugs | case NAME`.
"""
