"""The models of one run: every one trained once, and what failed ordered again only when asked."""

from dataclasses import dataclass, replace

from rmft_api.core.records import Method
from rmft_api.finetuning.job_context import JobContext
from rmft_api.finetuning.job_runner import JobRunner
from rmft_api.finetuning.job_spec import JobSpec
from rmft_api.finetuning.results import (
    FineTuned,
    JobFailure,
    TrainingData,
    hyperparameters,
)

_KIND = "training"


@dataclass(frozen=True)
class Trainer(JobContext):
    """Makes models for one run."""

    async def train(
        self, iteration: int, start: str, data: TrainingData, method: Method = "supervised"
    ) -> FineTuned:
        """The model that `start` becomes by learning `data`.

        Raises ConfigError for what this profile cannot do; DataError for a rejected file;
        NotEntitledError where the account may not train; BudgetError; ResumableError when waiting
        was given up; ProviderFault for a job that the provider failed or somebody cancelled, now
        or before, unless it is to be ordered again.
        """
        wanted = hyperparameters(self.config, method)
        traits = self.profile.check_training(start, method, wanted)
        created, endpoint = self.journal.run.created, self.profile.name
        order = await self._attempt(
            JobSpec(self.config, created, endpoint, wanted, iteration, start, data, method)
        )
        done = self.journal.get(_KIND, order.key, FineTuned)
        if done is None:
            done = await JobRunner(self, traits, order).run()
            await self.journal.put(_KIND, order.key, done)
        return done

    async def _attempt(self, first: JobSpec) -> JobSpec:
        """The attempt to continue: the last one, or a further one after a failure, if asked."""
        number = self.journal.get("attempt", first.key, int) or 1
        last = replace(first, attempt=number)
        failure = self.journal.get("failure", last.key, JobFailure)
        if failure is None:
            return last
        if not self.again:
            raise failure.error()
        await self.journal.put("attempt", first.key, number + 1)
        return replace(first, attempt=number + 1)
