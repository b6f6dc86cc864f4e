"""A provider to test against: the OpenAI wire in a process of its own, with a durable bill.

Written from the documented wire alone, never from our client, with the standard library only.
`python -m tests.fake_provider --state DIR --ready-file F --script faults.json` serves it;
`tests.fake_provider.client` starts it and reads its books.

    wire      HTTP/1.1 on asyncio streams, and the ways in which a reply can be lost
    scripts   what a fault is; `catalogue` lists the 60 by name
    rules     which request a fault meets: endpoint, nth occurrence, how often, executed or not
    store     SQLite: files, jobs, and the books (requests, faults, bill)
    counting  tokens of texts and chats, prompt caching
    answers   deterministic replies by request hash
    limits    requests and tokens a minute, told in x-ratelimit headers
    chat, files, jobs, batches   the routes
    app       a request's way through rules, limits, route and reply
"""
