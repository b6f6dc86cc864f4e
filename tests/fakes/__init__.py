"""Providers to test against that are more than the OpenAI wire, each from its documented shapes.

Never written from our own client: what a fake refuses is what its provider's pages say it refuses.

    azure     /openai/v1 with its differences, and Azure Resource Manager's deployments
    nebius    /v1 with absolute rates and results in checkpoints, and /v0/models
    gemini    generateContent, tuningJobs, endpoints, and Cloud Storage
    loop      a run of the installed command against one of them, killed and resumed
"""
