"""`rmft-api doctor`: what is wrong is said before it costs anything, and no key is ever shown."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from rmft_api.cli.doctor import screen
from rmft_api.cli.main import main
from rmft_api.config import schema
from rmft_api.core import resources
from rmft_api.core.records import DeploymentOrder
from rmft_api.providers import connect, profiles
from rmft_api.providers.http_client import HttpClient, NotConnectedError
from rmft_api.session import doctor_checks, environment_checks
from rmft_api.session.doctor_checks import CheckContext
from rmft_api.session.environment_checks import Finding
from tests.fakes.azure import AZURE, PREFIX, TOKEN, FakeAzure, environ
from tests.fakes.bedrock import BEDROCK, FakeBedrock
from tests.fakes.bedrock import environ as of_bedrock
from tests.fakes.fireworks import BASE as LLAMA
from tests.fakes.fireworks import FIREWORKS, FakeFireworks
from tests.fakes.fireworks import environ as of_fireworks
from tests.fakes.gemini import GEMINI, FakeGemini
from tests.fakes.gemini import environ as of_gemini
from tests.fakes.nebius import NEBIUS, FakeNebius
from tests.fakes.nebius import environ as of_nebius
from tests.fakes.tinker import PREFIX as TINKER_PREFIX
from tests.fakes.tinker import TINKER, FakeTinker
from tests.fakes.tinker import environ as of_tinker
from tests.fakes.together import TOGETHER, FakeTogether
from tests.fakes.together import environ as of_together
from tests.providers.stub import ROUTES, Routes, Serving, StubProvider, error

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CANARY = "sk-canary-0123456789abcdef"
Serve = Callable[[list[dict[str, str]], datetime], None]


def subject(runs: Path, name: str = "gpt-4o-mini", **environ: str) -> CheckContext:
    settings = schema.load(resources.run_files_dir() / f"{name}.toml")
    profile = profiles.load(settings.model.profile)
    return CheckContext(profile, profile, settings, runs, NOW, environ)


def found(all_: list[Finding], what: str) -> Finding:
    return next(one for one in all_ if one.what == what)


def of(subject: CheckContext, what: str) -> Finding:
    return found(list(doctor_checks.findings(subject)), what)


def test_a_healthy_machine_with_a_key_finds_nothing_that_fails(tmp_path: Path) -> None:
    findings = list(doctor_checks.findings(subject(tmp_path, OPENAI_API_KEY=CANARY)))
    assert [one for one in findings if one.verdict == "fail" and one.what != "local"] == []
    assert CANARY not in str(findings)
    assert "OPENAI_API_KEY is set" in found(findings, "key").said


def test_a_missing_key_is_named_by_its_variable(tmp_path: Path) -> None:
    key = of(subject(tmp_path), "key")
    assert key.verdict == "fail"
    assert "OPENAI_API_KEY" in key.said


def test_an_end_of_the_model_is_told_and_a_passed_one_fails(tmp_path: Path) -> None:
    today = subject(tmp_path)
    assert of(today, "dates").verdict == "note"
    later = replace(today, now=NOW + timedelta(days=60))
    assert of(later, "dates").verdict == "fail"


def test_a_model_without_prices_fails(tmp_path: Path) -> None:
    known = subject(tmp_path)
    assert known.config is not None
    model = known.config.model.model_copy(update={"base": "gpt-99"})
    unknown = replace(known, config=known.config.model_copy(update={"model": model}))
    assert of(known, "prices").verdict == "ok"
    assert of(unknown, "prices").verdict == "fail"


def test_a_profile_alone_is_told_with_all_its_dates(tmp_path: Path) -> None:
    alone = replace(subject(tmp_path), config=None)
    dates = [one for one in doctor_checks.findings(alone) if one.what == "dates"]
    assert len(dates) == len(profiles.load("openai").lifecycle)
    assert any(one.verdict == "note" and "gpt-4.1-nano" in one.said for one in dates)


def test_prompts_that_cannot_be_told_fail(tmp_path: Path) -> None:
    whole = subject(tmp_path)
    assert whole.config is not None
    prompts = whole.config.prompts.model_copy(update={"framing": "none-such"})
    broken = replace(whole, config=whole.config.model_copy(update={"prompts": prompts}))
    assert of(whole, "run file").verdict == "ok"
    assert of(broken, "run file").verdict == "fail"


def test_the_journal_is_tried_where_runs_will_lie_and_leaves_nothing(tmp_path: Path) -> None:
    journal = of(subject(tmp_path / "runs" / "deep"), "journal")
    assert journal.verdict == "ok"
    assert "wal" in journal.said
    assert str(tmp_path) in journal.said
    assert list(tmp_path.iterdir()) == []


def test_a_clock_before_the_price_list_is_wrong(tmp_path: Path) -> None:
    assert of(subject(tmp_path), "clock").verdict == "ok"
    early = replace(subject(tmp_path), now=NOW - timedelta(days=400))
    assert of(early, "clock").verdict == "fail"


def test_a_full_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(subject(tmp_path), "disk").verdict == "ok"
    monkeypatch.setattr(environment_checks, "LEAST_FREE", 2**80)
    assert of(subject(tmp_path), "disk").verdict == "fail"


def test_missing_packages_of_the_local_model_fail_only_where_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_checks, "LOCAL_PACKAGES", ("none_such",))
    assert of(subject(tmp_path), "local").verdict == "note"
    local = of(subject(tmp_path, "quickstart"), "local")
    assert local.verdict == "fail"
    assert "pip install 'rmft-api[local]'" in local.said


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[tuple[CheckContext, Serve]]:
    """A subject whose endpoint lists the given models at the given time."""
    told: dict[str, object] = {"models": [], "at": NOW}

    async def models(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {CANARY}":
            return web.json_response(
                {"error": {"message": "no", "code": "invalid_api_key"}}, status=401
            )
        at = told["at"]
        assert isinstance(at, datetime)
        body = json.dumps({"object": "list", "data": told["models"]})
        return web.Response(body=body, headers={"Date": format_datetime(at, usegmt=True)})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address: tuple[str, int] = runner.addresses[0]
    profile = profiles.load("openai").at(f"http://127.0.0.1:{address[1]}/v1")
    one = replace(subject(tmp_path, OPENAI_API_KEY=CANARY), playing=profile, training=profile)

    def say(models: list[dict[str, str]], at: datetime) -> None:
        told.update(models=models, at=at)

    yield one, say
    await runner.cleanup()


BASE = "gpt-4o-mini-2024-07-18"


async def test_online_the_endpoint_itself_tells_of_the_model_and_its_end(
    serve: tuple[CheckContext, Serve],
) -> None:
    one, say = serve
    say([{"id": BASE, "shutdown_date": "2027-01-14"}, {"id": "other"}], NOW)
    findings = await doctor_checks.online(one)
    assert [finding.verdict for finding in findings[:3]] == ["ok", "note", "note"]
    assert "2027-01-14" in findings[1].said


async def test_online_a_model_that_is_not_listed_and_a_wrong_clock_fail(
    serve: tuple[CheckContext, Serve],
) -> None:
    one, say = serve
    say([{"id": "other"}], NOW + timedelta(hours=1))
    verdicts = [(f.verdict, f.said) for f in await doctor_checks.online(one) if f.verdict == "fail"]
    assert any(BASE in said for _, said in verdicts)
    assert any("3,600 s" in said for _, said in verdicts)


async def test_online_a_refused_key_is_one_finding_without_the_key(
    serve: tuple[CheckContext, Serve],
) -> None:
    one, _ = serve
    wrong = replace(one, environ={"OPENAI_API_KEY": CANARY + "x"})
    (finding,) = await doctor_checks.online(wrong)
    assert finding.verdict == "fail"
    assert CANARY not in finding.said


def test_whatever_azure_must_be_told_is_one_finding_each(tmp_path: Path) -> None:
    bare = subject(tmp_path, "azure-gpt-4.1-mini")
    assert "AZURE_OPENAI_BASE_URL" in of(bare, "profile azure").said
    assert "AZURE_OPENAI_API_KEY" in of(bare, "key").said
    told = {
        "AZURE_OPENAI_BASE_URL": "https://lab.openai.azure.com/openai/v1",
        "AZURE_OPENAI_API_KEY": CANARY,
        "AZURE_OPENAI_RESOURCE_ID": "/subscriptions/0/accounts/lab",
    }
    settings = of(replace(bare, environ=told), "settings")
    assert settings.verdict == "fail"
    assert "AZURE_CLIENT_SECRET" in settings.said
    whole = replace(bare, environ={**told, "AZURE_MANAGEMENT_TOKEN": "t-0123456789"})
    assert {of(whole, what).verdict for what in ("profile azure", "key", "settings")} == {"ok"}


def test_what_a_deployment_costs_an_hour_is_told_and_must_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "$1.70 an hour" in of(subject(tmp_path, "azure-gpt-4.1-mini"), "prices").said
    own = tmp_path / "prices.toml"
    own.write_text(row("azure", "gpt-4.1-mini"))
    monkeypatch.setenv("RMFT_PRICES", str(own))
    prices = of(subject(tmp_path, "azure-gpt-4.1-mini"), "prices")
    assert (prices.verdict, "no price is known" in prices.said) == ("fail", True)


def test_on_a_terminal_long_findings_go_on_below_their_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "a word " * 30
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    lines = screen([Finding("dates", "ok", said), Finding("prices", "ok", "known")]).splitlines()
    assert max(map(len, lines)) <= 80
    assert {line[:14].strip() for line in lines} == {"ok    dates", "", "ok    prices"}
    assert " ".join(" ".join(line[14:] for line in lines[:-1]).split()) == said.strip()


def test_gemini_needs_a_project_a_place_and_a_bucket(tmp_path: Path) -> None:
    bare = subject(tmp_path, "gemini-3.5-flash")
    assert "GOOGLE_CLOUD_PROJECT" in of(bare, "settings").said
    assert "training is unknown" in of(bare, "prices").said


async def test_online_tells_what_stands_deployed_and_what_it_costs(tmp_path: Path) -> None:
    fake = FakeAzure(models={BASE, f"{BASE}.ft-1"})
    async with Serving(fake, AZURE, PREFIX):
        one = subject(tmp_path, "azure-gpt-4.1-mini", **environ(fake))
        assert found(await doctor_checks.online(one), "deployments").said == "none of ours stands"
        async with connect(one.playing, environ=one.environ) as connection:
            host = connection.host
            assert host
            await host.deploy(DeploymentOrder("rmft-a-1", f"{BASE}.ft-1", "a", "mark"), "a")
        standing = found(await doctor_checks.online(one), "deployments")
    assert standing.verdict == "note"
    assert "rmft-a-1: $1.70 an hour" in standing.said
    assert TOKEN not in str(standing)


async def test_online_bedrock_tells_whether_the_account_may_use_the_model(tmp_path: Path) -> None:
    fake = FakeBedrock()
    async with Serving(fake, BEDROCK, ""):
        one = subject(tmp_path, "bedrock-nova-micro", **of_bedrock(fake))
        assert found(await doctor_checks.online(one), "model access").verdict == "ok"
        fake.granted = False
        refused = found(await doctor_checks.online(one), "model access")
    assert refused.verdict == "fail"
    assert "is not granted to this account in us-east-1; ask for it" in refused.said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_REGION", "eu-west-1", "fine-tunes are trained and deployed in us-east-1 alone"),
        ("RMFT_BEDROCK_ROLE_ARN", "", "set RMFT_BEDROCK_ROLE_ARN"),
        ("RMFT_BEDROCK_BUCKET", "gs://lab", "s3://BUCKET/FOLDER"),
    ],
)
def test_what_bedrock_lacks_is_told_offline(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    told = of_bedrock(FakeBedrock(url="http://127.0.0.1:9")) | {name: value}
    one = subject(tmp_path, "bedrock-nova-micro", **told)
    assert (of(one, "settings").verdict, said in of(one, "settings").said) == ("fail", True)


async def test_online_gemini_is_asked_for_its_tuning_jobs(tmp_path: Path) -> None:
    fake = FakeGemini()
    async with Serving(fake, GEMINI):
        one = subject(tmp_path, "gemini-3.5-flash", **of_gemini(fake))
        first, *_ = await doctor_checks.online(one)
        assert (first.verdict, first.said) == ("ok", "answers, and lets this key in")
        wrong = {**of_gemini(fake), "GOOGLE_OAUTH_ACCESS_TOKEN": "old"}
        (refused,) = await doctor_checks.online(replace(one, environ=wrong))
    assert refused.verdict == "fail"
    assert "the Google credentials" in refused.said


async def test_online_a_closed_organisation_is_told(tmp_path: Path) -> None:
    async with Serving() as stub:
        stub.models.add(BASE)
        profile = profiles.load("openai").at(stub.url)
        one = replace(subject(tmp_path, OPENAI_API_KEY=CANARY), playing=profile, training=profile)
        stub.limits = {"data": [{"model": BASE, "jobs_per_day": 12}]}
        assert "jobs_per_day" in found(await doctor_checks.online(one), "entitlement").said
        stub.plan("limits", error(403, "no", code="training_not_available"))
        assert found(await doctor_checks.online(one), "entitlement").verdict == "fail"


async def test_online_each_way_of_a_run_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Serving() as stub:
        stub.models.add(BASE)
        profile = profiles.load("openai").at(stub.url)
        one = replace(subject(tmp_path, OPENAI_API_KEY=CANARY), playing=profile, training=profile)
        findings = await doctor_checks.online(one)
        for what in ("chats", "files and jobs"):
            assert found(findings, what).verdict == "ok"
        assert stub.asked("chat") == []

        async def unreachable(self: HttpClient) -> None:
            raise NotConnectedError("no way") from OSError("no way")

        stub.plan("files", error(403, "no", code="forbidden"))
        monkeypatch.setattr(HttpClient, "reach", unreachable)
        findings = await doctor_checks.online(one)
    assert found(findings, "openai online").verdict == "ok"
    for what, said in (("chats", "no way"), ("files and jobs", "HTTP 403")):
        assert found(findings, what).verdict == "fail"
        assert said in found(findings, what).said


def test_the_proxy_and_the_certificates_of_a_run_are_told(tmp_path: Path) -> None:
    bare = of(subject(tmp_path, OPENAI_API_KEY=CANARY), "network")
    assert bare.said == (
        "api.openai.com is asked without a proxy; certificates: those of the system"
    )
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    named = {"HTTPS_PROXY": f"http://me:{CANARY}@proxy.test:3128", "SSL_CERT_FILE": str(file)}
    told = of(subject(tmp_path, **named), "network")
    assert told.verdict == "ok"
    assert told.said == (
        "api.openai.com is asked through proxy http://***@proxy.test:3128 (HTTPS_PROXY); "
        f"certificates: {file} (SSL_CERT_FILE)"
    )
    file.unlink()
    assert of(subject(tmp_path, **named), "network").verdict == "fail"
    assert of(subject(tmp_path, ALL_PROXY="socks5://proxy.test:1"), "network").verdict == "fail"


async def test_online_an_endpoint_that_is_down_is_one_finding(tmp_path: Path) -> None:
    profile = profiles.load("openai").at("http://127.0.0.1:9/v1")
    down = replace(subject(tmp_path, OPENAI_API_KEY=CANARY), playing=profile, training=profile)
    (finding,) = await doctor_checks.online(down)
    assert finding.verdict == "fail"


def rmft_api(patch: pytest.MonkeyPatch, *words: str) -> int:
    patch.setattr(sys, "argv", ["rmft-api", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_fits_a_screen_and_ends_with_78_where_something_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("RMFT_RUNS", str(tmp_path))
    assert rmft_api(monkeypatch, "doctor", "--profile", "openai") == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) <= 24
    assert CANARY not in told.out + told.err
    monkeypatch.delenv("OPENAI_API_KEY")
    assert rmft_api(monkeypatch, "doctor", "--profile", "openai") == 78
    assert "see key" in capsys.readouterr().err


SHOWN = {"key", "dates", "prices", "entitlement", "journal", "disk", "clock", "loopback"}


@pytest.fixture
def any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes tell the time of day, and what is looked at is dated."""
    monkeypatch.setattr(doctor_checks, "CLOCK_TOLERANCE_S", 1e12)


@dataclass(frozen=True)
class Fake:
    """A provider to look at, what a user would set, and the run file that names it."""

    stub: StubProvider
    routes: Routes
    prefix: str
    environ: Callable[[Any], dict[str, str]]
    run_file: str
    prices: str = ""


def of_openai(stub: StubProvider) -> dict[str, str]:
    return {"OPENAI_BASE_URL": stub.url, "OPENAI_API_KEY": CANARY}


def row(provider: str, model: str) -> str:
    return (
        f'[[price]]\nprovider = "{provider}"\nmodel = "{model}"\ninput = 1\noutput = 2\n'
        'train = 3\nas_of = 2026-11-22\nsource = "as agreed"\n'
    )


def rented(provider: str, model: str) -> str:
    return f"{row(provider, model)}hosting_per_hour = 4\n"


def tinker_environ(fake: FakeTinker) -> dict[str, str]:
    return of_tinker(fake, fake.folder)


FAKES = {
    "openai": Fake(
        StubProvider(models={BASE}, limits={"data": []}), ROUTES, "/v1", of_openai, "gpt-4o-mini"
    ),
    "azure": Fake(FakeAzure(), AZURE, PREFIX, environ, "azure-gpt-4.1-mini"),
    "nebius": Fake(
        FakeNebius(),
        NEBIUS,
        "/v1",
        of_nebius,
        "nebius-llama-3.3-70b",
        row("nebius", "meta-llama/Llama-3.3-70B-Instruct"),
    ),
    "gemini": Fake(
        FakeGemini(),
        GEMINI,
        "/v1",
        of_gemini,
        "gemini-3.5-flash",
        row("gemini", "gemini-3.5-flash"),
    ),
    "bedrock": Fake(
        FakeBedrock(),
        BEDROCK,
        "",
        of_bedrock,
        "bedrock-nova-micro",
        row("bedrock", "amazon.nova-micro-v1:0"),
    ),
    "together": Fake(
        FakeTogether(),
        TOGETHER,
        "/v1",
        of_together,
        "together-qwen3.5-9b",
        row("together", "Qwen/Qwen3.5-9B") + rented("together", "ft:Qwen/Qwen3.5-9B"),
    ),
    "fireworks": Fake(
        FakeFireworks(),
        FIREWORKS,
        "/inference/v1",
        of_fireworks,
        "fireworks-llama-3.1-8b",
        row("fireworks", LLAMA) + rented("fireworks", f"ft:{LLAMA}"),
    ),
    "tinker": Fake(FakeTinker(), TINKER, TINKER_PREFIX, tinker_environ, "tinker-qwen3-8b"),
}
FREE = (
    *("models", "model", "limits", "files", "jobs", "deployments", "custom", "availability"),
    *("whoami", "supported", "endpoints", "account", "runs", "capabilities", "info"),
)
NO_CHAT = b'{"messages":[]}'
"""What Bedrock refuses, so that it costs nothing."""


@pytest.mark.usefixtures("any_time")
@pytest.mark.parametrize("name", FAKES)
async def test_every_provider_is_looked_at_in_one_screen_and_billed_for_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FAKES[name]
    (tmp_path / "prices.toml").write_text(fake.prices)
    if fake.prices:
        monkeypatch.setenv("RMFT_PRICES", str(tmp_path / "prices.toml"))
    async with Serving(fake.stub, fake.routes, fake.prefix) as stub:
        one = subject(tmp_path / "runs", fake.run_file, **fake.environ(stub))
        told = [*doctor_checks.findings(one), *await doctor_checks.online(one)]
    assert [finding for finding in told if finding.verdict == "fail"] == []
    assert {finding.what for finding in told} >= SHOWN | {f"profile {name}", f"{name} online"}
    assert len(told) <= 24
    assert stub.seen
    costly = [seen for seen in stub.seen if seen.route not in FREE and seen.body != NO_CHAT]
    assert costly == []
    assert (stub.files, stub.jobs, stub.contents) == ([], [], {})
    secrets = [value for key, value in fake.environ(stub).items() if "KEY" in key or "TOKEN" in key]
    assert secrets
    assert [secret for secret in secrets if secret in str(told)] == []


@pytest.mark.usefixtures("any_time")
async def test_any_server_of_the_wire_is_looked_at_for_nothing(tmp_path: Path) -> None:
    async with Serving() as stub:
        told = {"OPENAI_COMPATIBLE_BASE_URL": stub.url}
        profile = profiles.load("openai-compatible")
        one = CheckContext(profile, profile, None, tmp_path / "runs", NOW, told)
        found = [*doctor_checks.findings(one), *await doctor_checks.online(one)]
    assert [finding for finding in found if finding.verdict == "fail"] == []
    assert {seen.route for seen in stub.seen} == {"models", "files"}


async def test_the_embedded_server_is_not_asked_before_a_run_has_started_it(
    tmp_path: Path,
) -> None:
    one = subject(tmp_path / "runs", "quickstart")
    (finding,) = await doctor_checks.online(one)
    assert (finding.verdict, finding.said) == ("ok", "a run starts a server of its own")
