"""Chats in batches: a round's requests in one file, at a fraction of the price, hours later.

    asks ──> gathered ──> reserved, all or none ──> uploaded (once) ──> created (once)
      ^                                                                     │ polled
      └── what was not carried out is asked again <── answers saved <───────┘

Every request keeps its own key and its own reservation, and its row names the batch that it went
into; so a run that resumes after a crash joins that batch, and pays for nothing twice.
"""

from rmft_api.batches.answers import BatchAnswers
from rmft_api.batches.chat import BatchedChat
from rmft_api.batches.jobs import BatchJobs

__all__ = ["BatchAnswers", "BatchJobs", "BatchedChat"]
