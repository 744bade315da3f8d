"""`seawall review` and `seawall drift` on a protected stack of the real engine.

They judge and compare, and change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seawall.change_review import journal
from seawall.change_review.exposure import money
from seawall.cli import infra
from seawall.cli.app import main
from seawall.conventions import aws, environment
from tests.testing.aws_harness import STANDBY, client
from tests.testing.endpoints import serving, venue
from tests.testing.engine_harness import (
    POLICY,
    POLICY_PATH,
    ROOT,
    STACK_FILE,
    EngineHarness,
    running_engine,
)

pytestmark = pytest.mark.integration

KEY = "aws:kms/key:Key"
WALLET = "treasury-birch-hot"
REASON = "The wallet was emptied and checked by two people, see ticket 4711."


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHarness]:
    """A protected stack with locks in compliance mode, from a configuration of its own."""
    folder = tmp_path_factory.mktemp("protected")
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            environment.DEPLOYMENT_VARIABLE,
            environment.CHANGE_JOURNAL_VARIABLE,
            environment.INCIDENT_VARIABLE,
        ):
            patch.delenv(name, raising=False)
        with running_engine(folder) as found:
            protected = STACK_FILE.read_text(encoding="utf-8").replace(
                "seawall:deletion: disposable",
                "seawall:deletion: protected\n  seawall:irrevocableCompliance: true",
            )
            assert "irrevocableCompliance" in protected
            (folder / "protected.yaml").write_text(protected, encoding="utf-8")
            found.pulumi("stack", "select", "sandbox", "--create")
            found.pulumi(
                "up",
                "--yes",
                "--skip-preview",
                "--suppress-outputs",
                "--config-file",
                str(folder / "protected.yaml"),
            )
            yield found


@pytest.fixture(autouse=True)
def _no_kept_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox kept on this machine has a stack of the same name; its chains are not asked."""
    monkeypatch.setattr("seawall.change_review.run.kept_deployment", lambda: None)


@pytest.fixture
def run(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run a command in the shell of the harness; its exit code and its document."""
    for name, value in harness.variables.items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str, protected: bool = True) -> tuple[int, dict[str, Any]]:
        extra = ["--config-file", str(harness.folder / "protected.yaml")] if protected else []
        before, stack_file = harness.state, STACK_FILE.read_bytes()
        code = main([*arguments, *extra, "--json"])
        assert harness.state == before, "a command that only looks has written state"
        assert STACK_FILE.read_bytes() == stack_file
        return int(code), json.loads(capsys.readouterr().out)

    return command


@pytest.fixture(scope="module")
def replacement(harness: EngineHarness) -> Path:
    """A preview in which the engine would make one key anew; nothing protects it there."""
    # `--target-replace` forces what no input explains: the provider sees no difference.
    found = harness.pulumi(
        "preview", "--json", "--show-sames", "--target-replace", harness.urn(KEY, WALLET)
    )
    path = harness.folder / "replacement.json"
    path.write_text(found, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def stopped(
    harness: EngineHarness, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Path]:
    """A preview that protect stopped, its policy, and the repository rendered from that policy."""
    folder = tmp_path_factory.mktemp("renamed")
    policy = renamed(folder)
    there = harness.rendered(folder / "repository", policy)
    protected = str(harness.folder / "protected.yaml")
    found = there.pulumi(
        "preview",
        "--json",
        "--show-sames",
        "--config-file",
        protected,
        ok=False,
        SEAWALL_POLICY=str(policy),
    )
    path = harness.folder / "stopped.json"
    path.write_text(found, encoding="utf-8")
    return path, policy, there.settings.root


@pytest.fixture(scope="module")
def harmless(harness: EngineHarness, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A preview of another description, and of the tag with the policy's digest on everything.

    Returned with the policy that it was made from.
    """
    folder = tmp_path_factory.mktemp("harmless")
    words, _, _ = POLICY.triggers[0].customer_impact.partition(";")
    production = (ROOT / "policies" / "production.yaml").read_text(encoding="utf-8")
    assert words in production
    (folder / "production.yaml").write_text(
        production.replace(words, f"{words}, told again"), encoding="utf-8"
    )
    policy = folder / "sandbox.yaml"
    policy.write_text(
        (ROOT / "policies" / "sandbox.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    protected = str(harness.folder / "protected.yaml")
    there = harness.rendered(folder / "repository", policy)
    found = there.pulumi(
        "preview", "--json", "--config-file", protected, SEAWALL_POLICY=str(policy)
    )
    path = harness.folder / "harmless.json"
    path.write_text(found, encoding="utf-8")
    return path, policy


def maximum(wallet: str) -> int:
    declared = POLICY.wallets[wallet].holdings
    return sum(
        POLICY.value_micro(asset, POLICY.base_units(asset, each.maximum))
        for asset, each in declared.items()
    )


def renamed(folder: Path) -> Path:
    """A policy that gives a wallet another name, and with it another key."""
    for name in ("production", "sandbox"):
        text = (ROOT / "policies" / f"{name}.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.yaml").write_text(
            text.replace(WALLET, "treasury-birch-warm"), encoding="utf-8"
        )
    return folder / "sandbox.yaml"


def test_an_unchanged_stack_is_allowed_and_without_drift(run: Any) -> None:
    code, found = run("review", "--no-venue")
    assert (code, found["changed"], found["findings"]) == (0, 0, [])
    assert found["resources"] > len(POLICY.signing_wallets())

    code, found = run("drift")
    assert (code, found["drifted"]) == (0, [])
    assert found["compared"] > len(POLICY.signing_wallets())


@pytest.mark.nightly  # that a replaced key is refused is tried always
def test_a_preview_that_protect_stops_is_judged_and_refused_in_money(
    run: Any, stopped: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine exits 1, and the exposure is shown although the new policy dropped the wallet."""
    monkeypatch.setenv(environment.POLICY_VARIABLE, str(stopped[1]))
    monkeypatch.setattr(infra, "ROOT", stopped[2])

    code, found = run("review", "--no-venue", "--policy-before", str(POLICY_PATH))

    assert code == 1
    assert found["doubts"] == []
    assert "the engine itself refuses" in found["faults"][0]
    assert WALLET in found["faults"][0]
    exposures = {
        finding["exposure"]["name"]: finding["exposure"]["maximum_value_micro"]
        for finding in found["findings"]
        if finding["exposure"]
    }
    assert exposures[WALLET] == str(maximum(WALLET))


@pytest.mark.nightly  # that a replaced key is refused is tried always
def test_no_override_moves_what_the_engine_protects(
    run: Any, stopped: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    where = (
        "review",
        "--preview",
        str(stopped[0]),
        "--policy",
        str(stopped[1]),
        "--no-venue",
        "--journal",
        str(tmp_path / "journal"),
    )
    _, found = run(*where)
    covers = [each for finding in found["findings"] for each in ("--cover", finding["urn"])]

    code, found = run(
        *where, "--who", "jane.doe", "--justification", REASON, "--expires", "1h", *covers
    )

    assert code == 1
    assert {finding["status"] for finding in found["findings"]} == {"overridden"}
    assert not (tmp_path / "journal").exists()


def test_a_replaced_key_is_refused_overridden_once_and_refused_when_that_has_expired(
    run: Any, harness: EngineHarness, replacement: Path, tmp_path: Path
) -> None:
    key = harness.urn(KEY, WALLET)
    where = (
        "review",
        "--preview",
        str(replacement),
        "--no-venue",
        "--journal",
        str(tmp_path / "journal"),
    )
    code, found = run(*where, protected=False)
    assert code == 1
    lost = {
        finding["urn"]: finding
        for finding in found["findings"]
        if finding["rule"] == "signing-key-replaced"
    }
    assert set(lost) == {key}
    exposure = lost[key]["exposure"]
    assert exposure["maximum_value_micro"] == str(maximum(WALLET))
    assert exposure["addresses"][WALLET].startswith("0x")
    assert exposure["live_unknown_because"] == "no endpoint of birch was named"

    def override(expires: datetime) -> str:
        covers = [{"rule": finding["rule"], "urn": finding["urn"]} for finding in found["findings"]]
        path = tmp_path / "override.yaml"
        path.write_text(
            json.dumps(
                {
                    "who": "jane.doe",
                    "justification": REASON,
                    "expires": expires.isoformat(),
                    "covers": covers,
                }
            )
        )
        return str(path)

    now = datetime.now(tz=UTC)
    assert run(*where, "--override", override(now - timedelta(minutes=1)), protected=False)[0] == 1
    assert not (tmp_path / "journal").exists()

    code, _ = run(*where, "--override", override(now + timedelta(hours=1)), protected=False)
    assert code == 0
    [entry] = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    assert entry["justification"] == REASON
    assert "signing-key-replaced" in {each["rule"] for each in entry["body"]["covers"]}
    assert journal.breaks(tmp_path / "journal") == []


@pytest.mark.nightly  # the override of such a key is tried always
def test_the_review_of_a_replaced_key_says_what_it_is_worth(
    harness: EngineHarness, replacement: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "review",
                "--preview",
                str(replacement),
                "--no-venue",
                "--policy",
                str(POLICY_PATH),
                "--markdown",
            ]
        )
        == 1
    )

    said = capsys.readouterr().out
    assert f"{WALLET}: at most {money(maximum(WALLET), 'USD')}, now unknown" in said


@pytest.mark.nightly  # another refusal of the same review stays
def test_taking_a_stack_out_of_protection_is_refused_before_anything_is_lost(run: Any) -> None:
    """The committed configuration is disposable.

    Applied to this stack, it would take every protection away.
    """
    code, found = run("review", "--no-venue", protected=False)

    assert code == 1
    refused = {finding["rule"] for finding in found["findings"]}
    assert {
        "protection-removed",
        "deletion-window-shortened",
        "bucket-emptiable",
        "object-lock-weakened",
    } <= refused


@pytest.mark.nightly
@pytest.mark.parametrize(("tier", "expected"), [("normal", 0), ("protected", 1)])
def test_a_harmless_change_waits_until_the_tier_is_normal(
    tier: str, expected: int, run: Any, harmless: tuple[Path, Path]
) -> None:
    where = ("review", "--preview", str(harmless[0]), "--policy", str(harmless[1]))
    with serving(venue(tier)) as url:
        code, found = run(*where, "--status-url", url)

    assert found["changed"] > 0
    assert code == expected
    assert {finding["rule"] for finding in found["findings"]} == (
        {"change-freeze"} if expected else set()
    )
    assert run(*where)[0] == 2, "nobody was asked for the tier"


@pytest.mark.nightly
def test_a_preview_that_fails_for_another_reason_is_not_known(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(json.dumps({"policy": "wrong"}), encoding="utf-8")
    monkeypatch.setenv(environment.POLICY_VARIABLE, str(wrong))

    code, found = run("review", "--no-venue", "--policy", str(POLICY_PATH))

    assert code == 2
    assert "venue: found nothing; add it" in found["doubts"][0]


@pytest.mark.nightly
def test_a_program_that_ends_before_it_is_judged_says_why_and_lets_nothing_wait(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules that were rendered from another policy: nothing is declared by then."""
    monkeypatch.setenv(environment.POLICY_VARIABLE, str(renamed(tmp_path)))

    code, found = run("review", "--no-venue", "--policy", str(POLICY_PATH))

    assert code == 2
    assert "was rendered from another policy than sandbox as it is now" in found["doubts"][0]
    assert found["changed"] == 0


@pytest.mark.parametrize("command", [("review", "--no-venue"), ("drift",)])
def test_a_stack_that_does_not_exist_is_the_callers_mistake(
    command: tuple[str, ...], run: Any
) -> None:
    code, found = run(*command, "--stack", "nowhere")

    assert code == 3
    assert "no stack named 'nowhere'" in found["error"]


def test_what_somebody_changed_behind_the_stack_is_named(run: Any, harness: EngineHarness) -> None:
    who = harness.identities.deployer.environment()
    cloudwatch = client("cloudwatch", harness.endpoint, who, region=STANDBY)
    sns = client("sns", harness.endpoint, who, region=STANDBY)
    names = [
        aws.cloudwatch_alarm(POLICY.venue.name, trigger.name) for trigger in POLICY.triggers[:2]
    ]
    topic = next(
        each["TopicArn"]
        for each in sns.list_topics()["Topics"]
        if each["TopicArn"].endswith("critical")
    )
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[names[0]])["MetricAlarms"]
    parts = (
        "AlarmName",
        "MetricName",
        "Namespace",
        "Statistic",
        "Dimensions",
        "Period",
        "EvaluationPeriods",
        "ComparisonOperator",
        "AlarmActions",
        "OKActions",
        "ActionsEnabled",
        "AlarmDescription",
        "TreatMissingData",
    )

    owner = {
        each["Key"]: each["Value"] for each in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]
    }["owner"]
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "owner", "Value": "mallory"}])
    cloudwatch.put_metric_alarm(**{part: alarm[part] for part in parts}, Threshold=0.99)
    cloudwatch.delete_alarms(AlarmNames=[names[1]])

    code, found = run("drift")

    assert code == 1
    drifted = {each["name"]: each for each in found["drifted"]}
    topic_name, changed, gone = (
        f"{name}-{STANDBY}" for name in ("critical", *(each.name for each in POLICY.triggers[:2]))
    )
    assert {topic_name, changed, gone} <= set(drifted)
    assert {"path": "tags.owner", "before": owner, "after": "mallory"} in drifted[topic_name][
        "differences"
    ]
    [threshold] = [each for each in drifted[changed]["differences"] if each["path"] == "threshold"]
    assert threshold["after"] == "0.99"
    assert drifted[gone]["gone"] is True
