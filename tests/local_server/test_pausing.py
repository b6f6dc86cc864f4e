"""Jobs that are paused and resumed, as the vendor's own package does it."""

from pathlib import Path

import openai
import pytest

from tests.local_server.serving import at_step, dataset, epochs, finished, served, train, upload
from tests.local_server.test_restart import trainers

LONG = 4000


def test_a_paused_job_trains_no_more_until_it_is_resumed_even_across_a_restart(
    tmp_path: Path,
) -> None:
    with served(tmp_path) as server, server.client() as client:
        file_id = upload(client, dataset())
        job_id = train(client, training_file=file_id, method=epochs(LONG))
        at_step(client, job_id)
        assert client.fine_tuning.jobs.pause(job_id).status == "paused"
        assert not trainers(tmp_path)
        with pytest.raises(openai.BadRequestError, match="is paused and cannot be paused"):
            client.fine_tuning.jobs.pause(job_id)
        server.kill()
    with served(tmp_path) as server, server.client() as client:
        assert client.fine_tuning.jobs.retrieve(job_id).status == "paused"
        assert not trainers(tmp_path)
        assert client.fine_tuning.jobs.resume(job_id).status == "running"
        at_step(client, job_id)
        with pytest.raises(openai.BadRequestError, match="is running, not paused"):
            client.fine_tuning.jobs.resume(job_id)
        assert client.fine_tuning.jobs.cancel(job_id).status == "cancelled"
        with pytest.raises(openai.BadRequestError, match="is cancelled and cannot be paused"):
            client.fine_tuning.jobs.pause(job_id)


def test_a_job_that_was_paused_comes_to_its_end(client: openai.OpenAI) -> None:
    job_id = train(client, method=epochs(30))
    client.fine_tuning.jobs.pause(job_id)
    client.fine_tuning.jobs.resume(job_id)
    job = finished(client, job_id)
    assert job.status == "succeeded", job.error
    said = [one.message for one in client.fine_tuning.jobs.list_events(job_id, limit=100).data]
    assert "The job is paused; it will start again" in said
