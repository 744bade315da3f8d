"""What works against one kept sandbox: a plain shell as in the README, and the segregation drill.

All tests share the sandbox, which is left by a game day whose runner was killed during the fault.
They run in this order: the shell first, then the drills, the one that changes a key's policy late,
and the end of the stack last.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sandbox.bring_up import IDENTITIES, WAL
from sandbox.database import load_credentials
from sandbox.identities import Identities
from sandbox.kept import kept_data_dir
from seawall.conventions import aws
from seawall.conventions.components import POSTGRES_PROXY
from seawall.formats.deployment import DEPLOYMENT_FILE
from seawall.policy_file import load_policy
from tests.testing.cluster_harness import WITHOUT_STANDBY, given_to_server, serving, socket_folder
from tests.testing.drill_kit import (
    POLICY_PATH,
    ROOT,
    GameDay,
    KeptSandbox,
    answers,
    details_of,
    drill_result,
    kill_the_runner,
    not_passed,
    pays_a_withdrawal,
    primary_kms,
    processes_of,
    read_json,
    seawall,
    until,
)

pytestmark = [pytest.mark.drill, pytest.mark.measured]

POLICY = load_policy(POLICY_PATH)
STRANGER, KEY, REGION = "treasury-aster-hot", "customer-aster-hot", "us-west-2"
ALARMS_FOLLOW_WITHIN_S = 30.0
"""An alarm's period is ten seconds."""
HEALTHY_AGAIN_WITHIN_S = 120.0
"""The queue drains and the alarms follow; only a venue that does not recover takes that long."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GameDay]:
    """A game day with ``--keep`` whose runner was killed while the region was dark."""
    seawall("down")
    log = tmp_path_factory.mktemp("game-day") / "out.txt"
    try:
        game_day = GameDay.start("--seed", "5", "--keep", log=log)
        try:
            game_day.wait_for("fault.effective")
            assert not answers(primary_kms(game_day.targets()))
            kill_the_runner(game_day)
            yield game_day
        finally:
            game_day.end()
    finally:
        seawall("down")


@pytest.fixture(scope="module")
def sandbox(killed: GameDay) -> KeptSandbox:
    data_dir = kept_data_dir()
    assert data_dir == killed.data_dir
    return KeptSandbox(data_dir=data_dir)


@pytest.fixture(autouse=True)
def _work_tree_stays_as_it_is() -> Iterator[None]:
    def state() -> str:
        return subprocess.run(
            ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    before = state()
    yield
    assert state() == before


def shell(command: str, *, timeout_s: float = 240) -> str:
    """The output of ``command`` in a shell that evaluated ``bin/seawall env``; it must succeed."""
    done = subprocess.run(
        ["bash", "-c", f'set -e; eval "$(bin/seawall env)"; {command}'],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_venue_whose_game_day_was_killed_during_the_fault_still_pays(killed: GameDay) -> None:
    pays_a_withdrawal(killed)


@pytest.mark.usefixtures("sandbox")
def test_every_base_unit_of_a_venue_whose_game_day_was_killed_is_explained() -> None:
    """While it goes on paying."""
    done = seawall("reconcile", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["contradictions"], found["doubts"]) == (0, [], []), found[
        "sentence"
    ]
    outcomes = {each["comparison"]: each["outcome"] for each in found["comparisons"]}
    assert outcomes.pop("approvals") is None  # no approver has moved anything there
    assert set(outcomes.values()) == {"PASS"}


def test_its_ledger_can_be_made_again_of_the_backup_and_the_stream(
    killed: GameDay, sandbox: KeptSandbox, tmp_path: Path
) -> None:
    """Beside the running one, to the last commit that was acknowledged, as in the runbook."""
    pays_a_withdrawal(killed)
    credentials = load_credentials(sandbox.data_dir)[POSTGRES_PROXY]
    proxy = read_json(sandbox.data_dir / DEPLOYMENT_FILE)["proxies"][POSTGRES_PROXY]
    live = asyncio.run(_last_posting(credentials.url("owner", address=proxy["upstream"])))
    region, account = POLICY.regions.primary, POLICY.accounts["sandbox"]

    files = tmp_path / "pg"
    command = [
        *("python", "-P", "-m", "venue.restore", "cluster", "--files", str(files)),
        *("--log", str(sandbox.data_dir / WAL)),
        *("--bucket", aws.backup_bucket(POLICY.venue.name, region, account)),
        *("--region", region, "--endpoint", sandbox.urls["aws"], "--scratch", str(tmp_path)),
    ]
    backups = Identities.read(sandbox.data_dir / IDENTITIES).backups
    subprocess.run(command, cwd=ROOT, env={**os.environ, **backups.environment()}, check=True)
    given_to_server(files)
    options = ("-c", "listen_addresses=", "-c", "port=5432", *WITHOUT_STANDBY)
    with socket_folder() as socket, serving(files, socket, *options, log=tmp_path / "log"):
        url = credentials.url("owner", address="")
        again = until(
            lambda: _answer(f"{url}?host={socket}"), within_s=60, what="the restored database"
        )

    assert again >= live > 0


async def _last_posting(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("select max(id) from postings"))
    finally:
        await connection.close()


def _answer(url: str) -> int | None:
    """The last posting, once the server has applied its log to the end; None before that."""

    async def ask() -> int | None:
        connection = await asyncpg.connect(url)
        try:
            if await connection.fetchval("select pg_is_in_recovery()"):
                return None
        finally:
            await connection.close()
        return await _last_posting(url)

    try:
        return asyncio.run(ask())
    except (OSError, asyncpg.PostgresError):  # it is starting
        time.sleep(0.1)
        return None


def test_the_indicators_of_the_venue_reach_the_alarms_of_the_stack_in_both_regions(
    sandbox: KeptSandbox,
) -> None:
    """An alarm without data is in ALARM; the published indicators of a healthy venue end that."""
    names = [aws.cloudwatch_alarm(POLICY.venue.name, trigger.name) for trigger in POLICY.triggers]
    regions = (POLICY.regions.primary, POLICY.regions.standby)

    def all_are(state: str) -> Callable[[], bool | None]:
        def probe() -> bool | None:
            found = [
                sandbox.client("cloudwatch", region).describe_alarms(AlarmNames=names)[
                    "MetricAlarms"
                ]
                for region in regions
            ]
            assert [len(each) for each in found] == [len(names)] * len(regions)
            return {alarm["StateValue"] for each in found for alarm in each} == {state} or None

        return probe

    until(all_are("ALARM"), within_s=ALARMS_FOLLOW_WITHIN_S, what="alarms without data")

    def publish() -> None:
        published = shell(
            'bin/seawall exec -- python -m monitors.indicators --once --policy "$SEAWALL_POLICY"'
            f" --prometheus {sandbox.urls['prometheus']}"
        )
        names_published = [line.partition(":")[0] for line in published.splitlines()]
        assert names_published == sorted({trigger.indicator for trigger in POLICY.triggers})

    def healthy() -> bool | None:
        publish()  # again, because the venue has just been through a fault
        return all_are("OK")()

    until(healthy, within_s=HEALTHY_AGAIN_WITHIN_S, what="alarms of a healthy venue")


@pytest.mark.nightly  # `seawall review` asks the same engine here, and finds nothing either
@pytest.mark.usefixtures("sandbox")
def test_pulumi_finds_the_running_stack_unchanged() -> None:
    preview = json.loads(shell("pulumi preview --non-interactive --json"))
    assert {step["op"] for step in preview["steps"]} <= {"same", "read"}

    assert "created" not in shell("pulumi up --yes --non-interactive")

    shell("pulumi refresh --yes --non-interactive --skip-preview --expect-no-changes")


@pytest.mark.nightly
def test_pulumi_imports_a_topic_that_was_made_by_hand_and_removes_it_again(
    sandbox: KeptSandbox, tmp_path: Path
) -> None:
    topic = sandbox.client("sns", POLICY.regions.primary).create_topic(Name="seawall-made-by-hand")
    code = tmp_path / "imported.py"
    provider = "urn:pulumi:sandbox::seawall::pulumi:providers:aws::aws"

    shell(
        f"pulumi import aws:sns/topic:Topic found {topic['TopicArn']} --yes --non-interactive"
        f" --skip-preview --protect=false --provider aws={provider} --out {code}"
    )

    assert "aws.sns.Topic(" in code.read_text(encoding="utf-8")
    assert "1 deleted" in shell("pulumi up --yes --non-interactive --skip-preview")


@pytest.mark.usefixtures("sandbox")
def test_change_review_asks_the_kept_venue_and_finds_nothing_in_an_unchanged_stack() -> None:
    shell("bin/seawall review")


@pytest.mark.nightly  # integration tests look for drift in such a stack
@pytest.mark.usefixtures("sandbox")
def test_drift_finds_nothing_in_an_unchanged_stack() -> None:
    shell("bin/seawall drift")


@pytest.mark.usefixtures("sandbox")
def test_promtool_works_in_a_shell_with_the_environment() -> None:
    shell("promtool test rules generated/sandbox/rules_test.yml")


@pytest.mark.nightly  # an integration test runs an experiment with plain Chaos Toolkit
@pytest.mark.usefixtures("sandbox")
def test_chaos_works_in_a_shell_with_the_environment() -> None:
    experiment = ROOT / "generated" / "sandbox" / "experiments" / "signing-region-dark.json"
    journal = shell(
        'cd "$(mktemp -d)" && SEAWALL_NOOP=1 chaos --no-version-check run'
        f" --rollback-strategy always --journal-path journal.json {experiment} && cat journal.json"
    )

    assert '"status": "completed"' in journal


@pytest.mark.nightly  # the drill that finds one stray cell shows that all others pass
@pytest.mark.usefixtures("sandbox")
def test_every_cell_of_the_matrix_is_as_the_policy_says_and_every_key_answers() -> None:
    code, result = drill_result("segregation")

    assert (code, not_passed(result)) == (0, {})
    assert [detail.split()[2] for detail in details_of(result, "control.keys")] == [
        "customer-aster-cold",
        "customer-birch-cold",
    ]


@pytest.mark.nightly
def test_a_real_stack_is_drilled_by_profiles_without_harm(
    sandbox: KeptSandbox, tmp_path: Path
) -> None:
    """The way to a real account, tried on the sandbox.

    A profile per role, dry runs, and canaries in place of calls that could stop a key.
    """
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    users = {user["arn"]: user for user in _users(read_json(sandbox.data_dir / "identities.json"))}
    credentials.write_text(
        "".join(
            f"[{user['user']}]\naws_access_key_id = {user['access_key_id']}\n"
            f"aws_secret_access_key = {user['secret_access_key']}\n"
            for user in users.values()
        ),
        encoding="utf-8",
    )
    config.write_text(
        "".join(
            f"[profile {name}]\nrole_arn = {role['arn']}\n"
            f"source_profile = {users[role['trusts']]['user']}\nregion = {REGION}\n"
            for name, role in sandbox.outputs["principals"].items()
        ),
        encoding="utf-8",
    )

    code, result = drill_result(
        *("segregation", "--stack", "sandbox"),
        *("--outputs", str(sandbox.data_dir / "outputs.json")),
        *("--venue", str(sandbox.data_dir / "venue.json")),
        env={
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "SEAWALL_SIGNER_CREDENTIAL": (sandbox.data_dir / "prover.credential")
            .read_text()
            .strip(),
            "AWS_ENDPOINT_URL": sandbox.urls["aws"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        },
    )

    assert read_json(Path(result["run"]) / "segregation.json")["dry_run"] is True
    assert result["not_claimed"] == {"segregation.door": ["play_money"]}
    # Without a database the signers' log cannot be read, so whether it has the proofs is unknown.
    assert not_passed(result) == {"control.logged": "UNKNOWN"}
    assert code == 2


def _users(tree: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every user in identities.json, at any depth."""
    if "access_key_id" in tree:
        yield dict(tree)
        return
    for value in tree.values():
        yield from _users(value)


def test_a_stack_of_another_policy_is_refused(tmp_path: Path) -> None:
    """On a real stack nothing is tried before the outputs are those of the policy."""
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"policy_digest": "another"}), encoding="utf-8")

    done = seawall("drill", "segregation", "--stack", "staging", "--outputs", str(outputs))

    assert done.returncode == 3
    assert "brought up from another policy" in done.stderr


def test_a_stray_statement_is_named_as_exactly_that_cell(sandbox: KeptSandbox) -> None:
    """Added with boto3, not by Pulumi.

    The treasury's signer may sign with a customers' key in one region.
    """
    kms = sandbox.client("kms", REGION)
    signers = sandbox.outputs["signers"]
    key_id = signers[KEY]["key_id"]
    before = kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]
    stray = json.loads(before)
    stranger = signers[STRANGER]["roles"][REGION]
    stray["Statement"].append(
        {
            "Sid": "Stray",
            "Effect": "Allow",
            "Principal": {"AWS": stranger},
            "Action": "kms:Sign",
            "Resource": "*",
        }
    )
    kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=json.dumps(stray))
    try:
        code, result = drill_result("segregation")
    finally:
        kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=before)

    assert code == 1
    assert not_passed(result) == dict.fromkeys(
        ("segregation.matrix", "segregation.one_signer", "segregation.buckets_apart"), "FAIL"
    )
    [cell] = details_of(result, "segregation.matrix")
    role = stranger.rpartition("/")[2]
    assert cell.startswith(f"{role} may kms:Sign with {KEY} in {REGION}; the policy denies it")


@pytest.mark.nightly  # a whole flood of 50 s; a flood from the command line is an integration test
@pytest.mark.usefixtures("sandbox")
def test_locust_floods_from_a_shell_with_the_environment() -> None:
    flood = shell(
        'locust -f loadtests/locustfile.py --headless && cat "$SEAWALL_FLOOD_OUT/flood.json"'
    )

    assert '"complete": true' in flood


def test_pulumi_destroys_the_stack_from_a_shell(sandbox: KeptSandbox) -> None:
    """The last test with this sandbox: no key is left that could sign."""
    shell("pulumi destroy --yes --non-interactive")

    for region in (POLICY.regions.primary, POLICY.regions.standby):
        kms = sandbox.client("kms", region)
        keys = [
            kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]
        ]
        assert {key["KeyState"] for key in keys if key["KeyManager"] == "CUSTOMER"} <= {
            "PendingDeletion",
            "PendingReplicaDeletion",
        }


def test_down_leaves_no_process_and_without_a_sandbox_there_is_no_environment(
    killed: GameDay,
) -> None:
    """One line, exit 3, and nothing on standard output that `eval` could run."""
    down = seawall("down")
    assert down.returncode == 0, down.stderr
    assert processes_of(killed.run_id) == []

    done = seawall("env")

    assert done.returncode == 3
    assert done.stdout == ""
    assert "seawall up" in done.stderr
