"""Our problems and measures in the frameworks of others. Nothing of them is imported before use.

inspect_tasks    `inspect eval rmft_api/k24 --model ...`              extra [inspect]
verifiers_env    `verifiers.load_environment("rmft_api", suite=...)`  extra [verifiers]
gymnasium_envs   `gymnasium.make("rmft-api/k24-v0")`                  extra [gym]
"""
