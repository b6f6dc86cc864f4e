"""Fine-tune a chat model on its own lowest-regret play (Iterative RMFT, arXiv 2511.04393).

environments x prompts -> rollouts -> regret -> selection -> dataset -> finetuning -> the next model
"""
