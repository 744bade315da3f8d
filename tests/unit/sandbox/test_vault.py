"""The custodian's vault: whom it pays, on whose word, when, and once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sandbox.counterparties.custodian import moved
from sandbox.counterparties.vault import ColdWallet, RefusedError, Terms, Vault
from seawall.controls.timing import CUSTODIAN_CLOCK_MS
from seawall.ethereum.keys import (
    address_of_private_key,
    event_topic,
    keccak256,
    personal_message_hash,
    sign_locally,
)
from seawall.ethereum.values import Receipt
from seawall.formats.custody import Condition, RoleSignature, TransferRequest

KEYS = {role: keccak256(role.encode()) for role in ("lead", "ops", "commander")}
COLD, RESERVE, STRANGER = (f"0x{number:040x}" for number in (1, 2, 3))
NOON_S = 43_200.0
EXPIRES_AT = 2 * 86_400
TERMS = Terms(
    wallets={
        "cold": ColdWallet(
            network="aster", contract=COLD, destination=RESERVE, tokens={"AST": f"0x{0:040x}"}
        )
    },
    approvers={role: address_of_private_key(key) for role, key in KEYS.items()},
    needed=2,
    delay_s=600,
    opens_s=36_000,
    closes_s=50_400,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.sqlite"


@pytest.fixture
def vault(path: Path) -> Iterator[Vault]:
    """Open from 10:00 to 14:00, ten minutes after a request."""
    opened = Vault(path, TERMS)
    yield opened
    opened.close()


def request(*roles: str, forged: bool = False, **changes: Any) -> TransferRequest:
    """A request that is right, with ``changes`` that were signed unless it is ``forged``."""
    fields: dict[str, Any] = {
        "client_id": UUID(int=7),
        "network": "aster",
        "wallet": "cold",
        "asset": "AST",
        "amount": "5",
        "destination": RESERVE,
        "expires_at": EXPIRES_AT,
        "approvals": (),
    }
    before = TransferRequest(**fields)
    wanted = TransferRequest(**fields | changes)
    text = before.text if forged else wanted.text
    signatures = tuple(
        RoleSignature(
            role=role,
            signature="0x"
            + sign_locally(personal_message_hash(text), secret=KEYS[role]).recoverable.hex(),
        )
        for role in (roles or ("lead", "ops"))
    )
    return wanted.model_copy(update={"approvals": signatures})


def refusal(vault: Vault, wanted: TransferRequest) -> tuple[int, str]:
    """Status and code of what is refused."""
    with pytest.raises(RefusedError) as refused:
        vault.take(wanted, now_s=NOON_S)
    return refused.value.status, refused.value.code


def test_a_request_is_taken_once_and_its_id_is_good_for_nothing_else(vault: Vault) -> None:
    taken, new = vault.take(request(), now_s=NOON_S)
    assert (taken.state, taken.release_at, new) == ("accepted", NOON_S + 600, True)
    again, new = vault.take(request("commander", "lead"), now_s=NOON_S + 5)
    assert (again.release_at, new) == (NOON_S + 600, False)
    assert refusal(vault, request(amount="6")) == (409, "id_reused")
    assert vault.transfer(UUID(int=7), now_s=NOON_S).amount == "5"


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        pytest.param(request(destination=STRANGER), 403, "destination_not_allowed", id="stranger"),
        pytest.param(request(destination=COLD), 403, "destination_not_allowed", id="itself"),
        pytest.param(request(wallet="warm"), 422, "unknown_wallet", id="no wallet"),
        pytest.param(request(network="birch"), 422, "unknown_wallet", id="another network"),
        pytest.param(request(asset="BIR"), 422, "unknown_asset", id="another asset"),
        pytest.param(request(expires_at=int(NOON_S)), 403, "approval_expired", id="expired"),
        pytest.param(
            request(expires_at=EXPIRES_AT + 1, forged=True), 403, "bad_approval", id="made to last"
        ),
        pytest.param(request("lead"), 403, "too_few_approvals", id="one approver"),
        pytest.param(request("lead", "lead"), 403, "too_few_approvals", id="one twice"),
        pytest.param(request(amount="6", forged=True), 403, "bad_approval", id="another amount"),
        pytest.param(
            request().model_copy(
                update={
                    "approvals": (
                        request().approvals[0],
                        request().approvals[0].model_copy(update={"role": "ops"}),
                    )
                }
            ),
            403,
            "bad_approval",
            id="in another's name",
        ),
        pytest.param(
            request().model_copy(
                update={"approvals": (RoleSignature(role="guest", signature="0x" + "1b" * 65),)}
            ),
            403,
            "bad_approval",
            id="a role that approves nothing",
        ),
    ],
)
def test_what_was_not_agreed_is_refused_and_not_kept(
    vault: Vault, wanted: TransferRequest, status: int, code: str
) -> None:
    assert refusal(vault, wanted) == (status, code)
    assert refusal_of_reading(vault) == (404, "not_found")


def refusal_of_reading(vault: Vault) -> tuple[int, str]:
    with pytest.raises(RefusedError) as refused:
        vault.transfer(UUID(int=7), now_s=NOON_S)
    return refused.value.status, refused.value.code


def test_one_person_with_two_roles_is_one_person(path: Path) -> None:
    """Their key counts, not the role."""
    approvers = {**TERMS.approvers, "ops": TERMS.approvers["lead"]}
    vault = Vault(path, replace(TERMS, approvers=approvers))
    text = personal_message_hash(request().text)
    signature = "0x" + sign_locally(text, secret=KEYS["lead"]).recoverable.hex()
    both = tuple(RoleSignature(role=role, signature=signature) for role in ("lead", "ops"))
    assert refusal(vault, request().model_copy(update={"approvals": both})) == (
        403,
        "too_few_approvals",
    )
    vault.close()


def test_it_is_released_after_its_delay_within_the_window_of_a_day(vault: Vault) -> None:
    vault.take(request(), now_s=NOON_S)
    assert vault.due("aster", NOON_S + 599) is None
    assert "its delay, which ends in 1 s" in shown(vault, NOON_S + 599)
    assert vault.due("aster", NOON_S + 600) is not None
    assert vault.due("aster", 50_399) is not None
    assert vault.due("aster", 50_400) is None
    assert "the window of the day" in shown(vault, 50_400)
    assert vault.due("aster", 86_400 + 35_999) is None
    assert vault.due("aster", 86_400 + 36_000) is not None
    assert shown(vault, 86_400 + 36_000) == ""


def shown(vault: Vault, now_s: float) -> str:
    """What the venue is told that its request waits for."""
    return str(vault.transfer(UUID(int=7), now_s=now_s).waits_for)


@pytest.mark.parametrize(
    ("opens_s", "closes_s", "open_at"),
    [(10, 20, {10, 19}), (20, 10, {0, 9, 20, 86_399}), (10, 10, {0, 9, 10, 19, 20, 86_399})],
)
def test_a_window_may_go_past_midnight_or_never_end(
    opens_s: int, closes_s: int, open_at: set[int]
) -> None:
    terms = replace(TERMS, opens_s=opens_s, closes_s=closes_s)
    moments = (0, 9, 10, 19, 20, 86_399)
    assert {each for each in moments if terms.is_open(3 * 86_400 + each)} == open_at


def test_paused_it_takes_requests_and_signs_none_and_in_an_incident_it_takes_none(
    vault: Vault,
) -> None:
    vault.become(Condition(state="paused", reason="an audit"))
    vault.take(request(), now_s=NOON_S)
    assert vault.due("aster", NOON_S + 600) is None
    assert shown(vault, NOON_S + 600) == "paused: an audit"
    vault.become(Condition(state="incident", reason="a key ceremony was disturbed"))
    assert refusal(vault, request(client_id=UUID(int=8))) == (503, "incident")
    assert vault.take(request(), now_s=NOON_S)[1] is False  # what it took, it still answers for
    assert vault.due("aster", NOON_S + 600) is None
    vault.become(Condition(state="normal"))
    assert vault.due("aster", NOON_S + 600) is not None


def test_what_waits_is_not_signed_when_its_approval_has_ended(vault: Vault, path: Path) -> None:
    """Whatever it waited for; and what has expired once stays so, whatever a clock says."""
    until = int(NOON_S) + 700
    vault.take(request(expires_at=until), now_s=NOON_S)
    assert vault.due("aster", until - 1) is not None
    assert vault.expired("aster", until - 1) == []
    assert vault.due("aster", until) is None
    assert shown(vault, until) == "nothing: its approval has expired"
    vault.become(Condition(state="paused", reason="an audit"))
    surely = until + CUSTODIAN_CLOCK_MS / 1_000
    assert vault.expired("aster", surely - 1) == []  # by a clock that is behind it may go on
    [late] = vault.expired("aster", surely)
    assert vault.expired("birch", surely) == []
    vault.note(late, "expired")
    vault.become(Condition(state="normal"))
    vault.close()
    again = Vault(path, TERMS)
    assert again.due("aster", until - 1) is None
    assert again.take(request(expires_at=until), now_s=until - 1)[0].state == "expired"
    assert again.statement(now_s=until).transfers == ()
    again.close()


def test_approvers_sign_until_when_it_may_be_signed() -> None:
    assert request().text.endswith(f"as {UUID(int=7)}, signed before 1970-01-03T00:00:00Z.")
    with pytest.raises(ValueError, match="less than or equal to 253402300799"):
        request(expires_at=253_402_300_800)


def test_a_transfer_of_another_network_is_not_due_on_this_one(path: Path) -> None:
    wallets = {**TERMS.wallets, "other": replace(TERMS.wallets["cold"], network="birch")}
    vault = Vault(path, replace(TERMS, wallets=wallets))
    vault.take(request(wallet="other", network="birch"), now_s=NOON_S)
    assert vault.due("aster", NOON_S + 600) is None
    held = vault.due("birch", NOON_S + 600)
    assert held is not None
    vault.sign(held, number=1, nonce=0, raw=b"", tx_hash="0x01")
    assert vault.under_way("aster") == []
    assert [each.request.wallet for each in vault.under_way("birch")] == ["other"]
    vault.close()


def test_no_more_than_a_contract_can_count_is_asked_for() -> None:
    assert request(amount=str(2**256 - 1)).amount == str(2**256 - 1)
    with pytest.raises(ValueError, match="more than any contract can count"):
        request(amount=str(2**256))


def test_everything_survives_a_restart(vault: Vault, path: Path) -> None:
    """Requests, condition, and the bytes that were signed, which never change."""
    vault.take(request(), now_s=NOON_S)
    held = vault.due("aster", NOON_S + 600)
    assert held is not None
    vault.sign(held, number=3, nonce=4, raw=b"first", tx_hash="0x01")
    vault.become(Condition(state="paused", reason="an audit"))
    vault.close()

    again = Vault(path, TERMS)
    assert again.condition() == Condition(state="paused", reason="an audit")
    [kept] = again.under_way("aster")
    assert (kept.nonce, kept.raw, kept.tx_hash, kept.state) == (4, b"first", "0x01", "signed")
    assert (kept.number, again.next_number()) == (3, 4)
    assert again.sign(kept, number=4, nonce=5, raw=b"second", tx_hash="0x02").raw == b"first"
    assert again.next_nonce("aster") == 5
    assert again.next_nonce("birch") is None
    again.note(kept, "moved", block_number=9)
    [line] = again.statement(now_s=NOON_S).transfers
    assert (line.client_id, line.state, line.block_number) == (UUID(int=7), "moved", 9)
    assert again.under_way("aster") == []
    again.close()


@pytest.mark.parametrize(
    ("changes", "succeeded", "expected"),
    [
        pytest.param({}, True, True, id="its own event"),
        pytest.param({}, False, False, id="reverted"),
        pytest.param({"address": STRANGER}, True, False, id="of another contract"),
        pytest.param(
            {"topics": [event_topic("Failed(uint256,bytes16)")]}, True, False, id="failed"
        ),
    ],
)
def test_only_the_contracts_own_event_says_that_it_moved(
    changes: dict[str, Any], succeeded: bool, expected: bool
) -> None:
    """An item may fail by itself while its transaction runs to its end."""
    topics = [
        event_topic("Paid(uint256,bytes16,address,address,uint256)"),
        f"0x{5:064x}",
        "0x" + UUID(int=7).hex + "0" * 32,
        "0x" + "0" * 24 + RESERVE[2:],
    ]
    log = {"address": COLD, "topics": topics, "data": "0x"} | changes
    receipt = Receipt(block_number=1, block_hash="0x01", succeeded=succeeded, logs=[log])
    assert moved(request(), receipt, COLD) is expected
