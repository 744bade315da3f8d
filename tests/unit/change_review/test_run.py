"""The whole review: a preview file and endpoints in, an exit code and a journal entry out."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from seawall.change_review import journal, run
from seawall.cli.app import main
from seawall.conventions import environment
from tests.testing.endpoints import chain, serving, venue
from tests.testing.proposals import ROOT, WALLET_TAGS, document, step, urn

KEY = "aws:kms/key:Key"
INPUTS = {
    "customerMasterKeySpec": "ECC_SECG_P256K1",
    "keyUsage": "SIGN_VERIFY",
    "region": "us-east-1",
    "tags": WALLET_TAGS,
}
LOST = step(KEY, INPUTS, None)
TAGGED = step(KEY, INPUTS, {**INPUTS, "description": "other"})
POLICY = str(ROOT / "policies" / "sandbox.yaml")
REASON = "The wallet was emptied and checked by two people, see ticket 4711."


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the developer's shell counts, and no sandbox that runs on this machine."""
    monkeypatch.setattr(run, "kept_deployment", lambda: None)
    for name in (
        environment.DEPLOYMENT_VARIABLE,
        environment.POLICY_VARIABLE,
        environment.CHANGE_JOURNAL_VARIABLE,
        environment.INCIDENT_VARIABLE,
    ):
        monkeypatch.delenv(name, raising=False)


class Shell:
    """Runs the command on a preview in a file."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.journal = folder / "journal.jsonl"
        self._capture = capture

    def review(
        self,
        *steps: dict[str, Any],
        options: tuple[str, ...] = ("--no-venue",),
        policy: str | None = POLICY,
    ) -> tuple[int, dict[str, Any]]:
        """Exit code and document of a review of a preview with ``steps``."""
        preview = self.folder / "preview.json"
        preview.write_text(json.dumps(document(*steps)))
        chosen = ["--policy", policy] if policy is not None else []
        code = main(["review", "--preview", str(preview), *chosen, "--json", *options])
        return int(code), json.loads(self._capture.readouterr().out)

    def override(self, *covers: str, expires: datetime | None = None) -> tuple[str, ...]:
        """Options of an override in a file, of everything on ``covers``."""
        until = expires or datetime.now(tz=UTC) + timedelta(hours=1)
        path = self.folder / "override.yaml"
        path.write_text(
            json.dumps(
                {
                    "who": "jane.doe",
                    "justification": REASON,
                    "expires": until.isoformat(),
                    "covers": [{"urn": each} for each in covers],
                }
            )
        )
        return ("--override", str(path), "--journal", str(self.journal), "--no-venue")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def test_a_lost_key_exits_one_and_a_description_zero(shell: Shell) -> None:
    assert shell.review(LOST)[0] == 1
    assert shell.review(TAGGED)[0] == 0


def test_a_preview_comes_from_standard_input_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(document(LOST))))

    assert main(["review", "--preview", "-", "--policy", POLICY, "--no-venue", "--markdown"]) == 1
    assert capsys.readouterr().out.startswith("### seawall review: REFUSED\n")


def test_an_override_is_written_down_before_it_counts(shell: Shell) -> None:
    code, found = shell.review(LOST, options=shell.override(urn(KEY, "customer-aster-hot")))

    assert code == 0
    assert found["findings"][0]["status"] == "overridden"
    [entry] = [json.loads(line) for line in shell.journal.read_text().splitlines()]
    assert (entry["n"], entry["kind"], entry["justification"]) == (1, journal.OVERRIDE, REASON)
    assert entry["body"]["who"] == "jane.doe"
    assert [(each["rule"], each["change"]) for each in entry["body"]["covers"]] == [
        ("signing-key-replaced", found["findings"][0]["change_digest"])
    ]
    assert journal.breaks(shell.journal) == []


def test_an_override_that_does_not_open_the_gate_is_not_in_effect(shell: Shell) -> None:
    other = step("aws:sns/topic:Topic", {"name": "t"}, None, name="t")
    code, _ = shell.review(LOST, other, options=shell.override(urn(KEY, "customer-aster-hot")))

    assert code == 1
    assert not shell.journal.exists()


def test_an_override_that_cannot_be_written_down_does_not_count(shell: Shell) -> None:
    shell.journal = shell.folder / "missing" / "journal.jsonl"
    code, found = shell.review(LOST, options=shell.override(urn(KEY, "customer-aster-hot")))

    assert code == 4
    assert "cannot be written" in found["error"]


def test_an_override_without_a_journal_does_not_count(shell: Shell) -> None:
    options = tuple(
        each
        for each in shell.override(urn(KEY, "customer-aster-hot"))
        if each not in ("--journal", str(shell.journal))
    )
    code, found = shell.review(LOST, options=options)

    assert code == 3
    assert "needs a journal" in found["error"]


def test_an_expired_override_refuses(shell: Shell) -> None:
    past = datetime.now(tz=UTC) - timedelta(seconds=1)
    code, found = shell.review(
        LOST, options=shell.override(urn(KEY, "customer-aster-hot"), expires=past)
    )

    assert code == 1
    assert "expired" in found["notes"][0]
    assert not shell.journal.exists()


def test_a_broken_journal_refuses_everything(shell: Shell) -> None:
    shell.review(LOST, options=shell.override(urn(KEY, "customer-aster-hot")))
    shell.journal.write_text(shell.journal.read_text().replace("jane.doe", "john.doe"))

    code, found = shell.review(TAGGED, options=("--no-venue", "--journal", str(shell.journal)))

    assert code == 1
    assert found["faults"] == [
        "the journal does not hold: change-review: entry 1 was changed after it was written"
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--justification", REASON), "an override needs --who, --expires, --cover, too"),
        (
            ("--who", "jane", "--justification", REASON, "--expires", "1h", "--cover", "*"),
            "name one resource by its whole URN",
        ),
        (
            (
                "--who",
                "jane",
                "--justification",
                REASON,
                "--expires",
                "8d",
                "--cover",
                urn(KEY, "k"),
            ),
            "let it expire within 7 days",
        ),
        (("--override", "nowhere.yaml"), "cannot read nowhere.yaml"),
        (("--rpc", "aster"), "is no NETWORK=URL"),
        (("--stack", "staging"), "the preview is of the stack production, not of staging"),
        (("--venue", "nowhere.json"), "cannot read nowhere.json"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    options: tuple[str, ...], says: str, shell: Shell
) -> None:
    code, found = shell.review(LOST, options=("--no-venue", *options))

    assert code == 3
    assert says in found["error"]


def test_a_stack_that_names_no_policy_needs_one_and_another_stacks_policy_is_refused(
    shell: Shell,
) -> None:
    assert shell.review(TAGGED, policy=None)[1]["error"].startswith("no policy: ")

    foreign = step(KEY, INPUTS, {**INPUTS, "tags": {**WALLET_TAGS, "policy": "0" * 64}})
    code, found = shell.review(foreign)
    assert code == 3
    assert "is declared from another policy" in found["error"]

    for tags in ({"tags": {"policy": "0" * 64}}, json.dumps({"tags": {"policy": "0" * 64}})):
        provider = {"region": "us-east-1", "defaultTags": tags}
        code, found = shell.review(
            step("pulumi:providers:aws", provider, provider, op="same", name="aws")
        )
        assert code == 3


@pytest.mark.parametrize(("tier", "code"), [("normal", 0), ("stressed", 1), ("protected", 1)])
def test_the_venue_is_asked_for_its_tier(tier: str, code: int, shell: Shell) -> None:
    with serving(venue(tier)) as url:
        assert shell.review(TAGGED, options=("--status-url", url))[0] == code
        assert shell.review(TAGGED, options=("--status-url", f"{url}/v1/status"))[0] == code


def test_a_venue_that_does_not_answer_is_not_known(shell: Shell) -> None:
    with serving(lambda *_: (503, {})) as url:
        code, found = shell.review(TAGGED, options=("--status-url", url))
    assert (code, found["freeze"]["state"]) == (2, "unknown")
    with serving(lambda *_: (200, {"tier": "calm"})) as url:
        assert shell.review(TAGGED, options=("--status-url", url))[0] == 2
    assert shell.review(TAGGED, options=("--status-url", "http://127.0.0.1:1"))[0] == 2
    assert shell.review(TAGGED, options=())[0] == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"summary": "phishing of a signer"}', "an incident is open: phishing of a signer"),
        ("", "is there and does not say which"),
        ("[]", "is there and does not say which"),
    ],
)
def test_the_marker_of_an_incident_freezes_whatever_it_says(
    content: str, says: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = shell.folder / "incident.json"
    marker.write_text(content)
    code, found = shell.review(TAGGED, options=("--no-venue", "--incident", str(marker)))
    assert code == 1
    assert says in found["findings"][0]["evidence"][0]

    monkeypatch.setenv(environment.INCIDENT_VARIABLE, str(marker))
    assert shell.review(TAGGED)[0] == 1
    marker.unlink()
    assert shell.review(TAGGED)[0] == 0


def venue_file(folder: Path) -> str:
    path = folder / "venue.json"
    section = {
        "tokens": {"USDX": "0x" + "11" * 20},
        "payout_contracts": {"customer-aster-hot": "0x" + "22" * 20},
    }
    path.write_text(json.dumps({"networks": {"aster": section}}))
    return str(path)


def test_the_balance_of_the_address_and_of_its_contract_is_read_from_an_endpoint(
    shell: Shell,
) -> None:
    with serving(chain(73311, native=3 * 10**18, tokens=5 * 10**6)) as url:
        _, found = shell.review(
            LOST,
            options=("--no-venue", "--rpc", f"aster={url}", "--venue", venue_file(shell.folder)),
        )

    exposure = found["findings"][0]["exposure"]
    assert {each["asset"]: each["live"] for each in exposure["holdings"]} == {
        "AST": str(6 * 10**18),
        "USDX": str(10 * 10**6),
    }
    assert int(exposure["live_value_micro"]) == (6 * 2000 + 10) * 10**6


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (chain(1, native=1, tokens=1), "serves chain 1, not 73311"),
        (lambda *_: (500, {}), "the endpoint of aster did not answer"),
        (lambda *_: (200, {"error": {"code": -32000}}), "refused eth_chainId: "),
        (lambda *_: (200, "no json"), "the endpoint of aster did not answer"),
    ],
)
def test_an_endpoint_that_cannot_be_believed_leaves_the_balance_unknown(
    answer: Any, why: str, shell: Shell
) -> None:
    with serving(answer) as url:
        code, found = shell.review(
            LOST,
            options=("--no-venue", "--rpc", f"aster={url}", "--venue", venue_file(shell.folder)),
        )

    assert code == 1
    assert found["findings"][0]["exposure"]["live_value_micro"] is None
    assert why in found["findings"][0]["exposure"]["live_unknown_because"]


def test_a_token_whose_contract_nobody_named_is_unknown_and_the_coin_is_not(shell: Shell) -> None:
    with serving(chain(73311, native=7, tokens=1)) as url:
        _, found = shell.review(LOST, options=("--no-venue", "--rpc", f"aster={url}"))

    exposure = found["findings"][0]["exposure"]
    assert {each["asset"]: each["live"] for each in exposure["holdings"]} == {
        "AST": "7",
        "USDX": None,
    }
    assert "the contract of USDX on aster is not known" in exposure["live_unknown_because"]


def test_the_policy_before_says_what_a_dropped_wallet_may_hold(
    shell: Shell, tmp_path: Path
) -> None:
    """A proposal that drops the wallet from the policy must not drop the sum from its review."""
    text = (ROOT / "policies" / "production.yaml").read_text()
    dropped = tmp_path / "after.yaml"
    dropped.write_text(text.replace("treasury-birch-hot", "treasury-birch-warm"))
    tags = {"wallet": "treasury-birch-hot", "bucket": "treasury"}
    lost = step(KEY, {**INPUTS, "tags": tags}, None, name="treasury-birch-hot")

    blind = shell.review(lost, policy=str(dropped))[1]["findings"][0]["exposure"]
    before = str(ROOT / "policies" / "production.yaml")
    seeing = shell.review(
        lost, policy=str(dropped), options=("--no-venue", "--policy-before", before)
    )[1]["findings"][0]["exposure"]

    assert (blind["name"], blind["maximum_value_micro"]) == ("treasury-birch-hot", None)
    assert seeing["maximum_value_micro"] == str(400_000 * 10**6)


def test_the_former_name_of_the_command_does_the_same_and_says_so_on_stderr(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gates of pull requests call it; what they read on stdout is unchanged."""
    preview = shell.folder / "preview.json"
    preview.write_text(json.dumps(document(LOST)))

    assert (
        main(["guard", "--preview", str(preview), "--policy", POLICY, "--no-venue", "--json"]) == 1
    )

    said = capsys.readouterr()
    assert json.loads(said.out)["outcome"] == "refused"
    assert said.err == "`seawall guard` is now `seawall review`\n"
