STORIES = {
    "window": {
        "options": "window displays",
        "setting": "A baker chooses one display for the shop window each morning.",
        "reward": "the share of passers-by who come in",
        "loss": "the share of passers-by who walk on",
        "actions": ["Rye tower", "Bun garden", "Cake stairs"],
    }
}
