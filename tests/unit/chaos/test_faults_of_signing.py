"""Faults of a key service that refuses: what a look at it proves, and where they run at all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chaos import signer
from chaos.faults import Fault, kms_throttled, make_fault, signing_denied
from chaos.faults.signing_denied import denial
from seawall.conventions import signing
from seawall.conventions.local_aws import ACCOUNT_ID
from seawall.errors import ExitCode, ServiceError, UsageError
from seawall.formats.deployment import Deployment, Signer
from seawall.iam.evaluation import decide
from seawall.iam.request import Policies, Principal, Request, ResourcePolicy
from seawall.keys import access
from seawall.lease import UndoCall
from seawall.policy_file import load_policy
from tests.testing.deployments import NOTHING, make_deployment

THROTTLED, ANSWERED = signing.THROTTLED, signing.ANSWERED
STAGING, PRODUCTION = "321098765432", "210987654321"
SIGNERS = {"us-east-1": {"url": NOTHING, "operations_per_s": 60}}


def _deployment(folder: Path, **changes: Any) -> Deployment:
    return make_deployment(
        folder, **({"signers": SIGNERS, "kms_crowding": f"{NOTHING}/crowding"} | changes)
    )


def _throttled(deployment: Deployment, share: str = "0.9", target: str = "kms.primary") -> Fault:
    return make_fault(
        "kms-throttled",
        target=target,
        parameters={"throttled": share},
        deployment=deployment,
        blast_radius=("kms.primary", "kms.standby"),
    )


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ([THROTTLED, THROTTLED], "effective"),
        ([ANSWERED, THROTTLED, ANSWERED, THROTTLED], "effective"),
        ([ANSWERED] * 8, "clear"),
        ([*[ANSWERED] * 7, THROTTLED], "unclear"),
        ([signing.DENIED], "unclear"),
        ([THROTTLED, signing.SILENT], "unclear"),
    ],
)
def test_a_look_needs_two_refusals_or_none_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Sequence[str], state: str
) -> None:
    """Some canaries are served under the fault, too; another failure is not this fault."""
    given = iter(results)
    monkeypatch.setattr(kms_throttled, "look", lambda _url: next(given))
    monkeypatch.setattr(kms_throttled, "_BETWEEN_CANARIES_S", 0)
    assert _throttled(_deployment(tmp_path)).observe().state == state
    assert next(given, None) is None, "a look ends as soon as it proves something"


def test_the_undo_is_one_call_of_the_region(tmp_path: Path) -> None:
    fault = _throttled(_deployment(tmp_path))
    assert fault.undo() == (UndoCall(method="DELETE", url=f"{NOTHING}/crowding/us-east-1"),)
    assert (fault.part, fault.reaches) == ("kms.us-east-1", ("kms.primary",))
    with pytest.raises(ServiceError, match=r"^kms\.us-east-1 could not be crowded"):
        fault.apply()


def test_no_quota_of_a_real_account_is_used_up(tmp_path: Path) -> None:
    """It would throttle every key in it, also where somebody offers the handle."""
    real = {"kind": "staging", "account": "321098765432"}
    for changes in (real, {"kms_crowding": None}):
        with pytest.raises(UsageError, match="no drill uses up that of a real account"):
            _throttled(_deployment(tmp_path, **changes))


def test_what_cannot_be_seen_or_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no signer of us-east-1"):
        _throttled(_deployment(tmp_path, signers={}))
    with pytest.raises(UsageError, match=r"cannot be aimed at kms\.primary"):
        _throttled(_deployment(tmp_path, regions=None))
    for share in ("0.5", "1.1", "most", "0.955"):
        with pytest.raises(UsageError, match="cannot have the parameter throttled"):
            _throttled(_deployment(tmp_path), share)


@contextmanager
def _signer(status: int, body: bytes, seen: list[str | None] | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if seen is not None:
                seen.append(self.headers["Authorization"])
            self.send_response(status if self.path == "/signer/probe" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/signer/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b"{}", ANSWERED),
        (
            503,
            (
                b'{"code":"provider_unavailable","reason":"the key provider of us-east-1 does not'
                b" serve: An error occurred (ThrottlingException) when calling the Sign operation:"
                b' You have exceeded the rate"}'
            ),
            THROTTLED,
        ),
        (
            503,
            b'{"code":"provider_unavailable","reason":"ThrottlingException, perhaps"}',
            "HTTP 503",
        ),
        (
            503,
            b'{"code":"provider_unavailable","reason":"Read timeout on endpoint URL: http://kms"}',
            signing.SILENT,
        ),
    ],
)
def test_the_signers_probe_shows_the_key_services_own_code(
    status: int, body: bytes, result: str
) -> None:
    with _signer(status, body) as url:
        found = Signer(url=url, operations_per_s=60)
        assert signer.look(found) == result
    assert signer.look(found) == signing.SILENT


def test_a_look_shows_the_probers_credential_from_a_file_that_is_private(tmp_path: Path) -> None:
    """Others must not be able to read it."""
    seen: list[str | None] = []
    path = tmp_path / "prober.credential"
    path.write_text("a-credential\n", encoding="utf-8")
    path.chmod(0o600)
    with _signer(200, b"{}", seen) as url:
        found = Signer(url=url, operations_per_s=60, prober=path)
        assert signer.look(found) == ANSWERED
    assert seen == ["Bearer a-credential"]
    path.chmod(0o640)
    with pytest.raises(UsageError, match="others can read"):
        signer.look(found)
    with pytest.raises(UsageError, match="cannot read the credential"):
        signer.look(found.model_copy(update={"prober": tmp_path / "none"}))


class _Iam:
    """IAM with the inline policies of roles by role and name; ``refused`` answers every call.

    It is a session of the fault role in ``account``, too.
    """

    def __init__(self, refused: str | None = None, *, account: str = ACCOUNT_ID) -> None:
        self.refused = refused
        self.account = account
        self.written: dict[tuple[str, str], str] = {}

    def client(self, service: str, **_given: Any) -> Any:
        """The same for IAM and STS."""
        assert service in ("iam", "sts")
        return self

    def get_caller_identity(self) -> dict[str, str]:
        """Where it is."""
        return {"Account": self.account}

    def put_role_policy(self, **given: str) -> None:
        """Write one."""
        self._answer("PutRolePolicy", self.refused)
        self.written[given["RoleName"], given["PolicyName"]] = given["PolicyDocument"]

    def delete_role_policy(self, **given: str) -> None:
        """Delete one, which must be there."""
        self._answer("DeleteRolePolicy", self.refused)
        if self.written.pop((given["RoleName"], given["PolicyName"]), None) is None:
            self._answer("DeleteRolePolicy", "NoSuchEntity")

    @staticmethod
    def _answer(operation: str, code: str | None) -> None:
        if code is not None:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def _denied(folder: Path, iam: _Iam, *, length_ms: int | None = 1_000, **changes: Any) -> Fault:
    fault = make_fault(
        "signing-denied",
        target="kms.primary",
        parameters={"margin": "2s"},
        deployment=_deployment(folder, **changes),
        blast_radius=("kms.primary",),
        length_ms=length_ms,
    )
    vars(fault)["_session"] = iam
    return fault


def test_every_signer_of_the_region_is_denied_once_until_the_planned_end_and_a_margin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undone twice, nothing is left; what others wrote stays."""
    iam = _Iam()
    iam.written["seawall-harbour-signer-customer-aster-hot-us-east-1", "other"] = "{}"
    fault = _denied(tmp_path, iam)
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.25)
    fault.revert(within_ms=0)
    fault.apply()
    ours = {role: text for (role, name), text in iam.written.items() if name != "other"}
    policy = load_policy(fault.deployment.policy)
    assert set(ours) == {
        access.signer(policy, wallet, "us-east-1").name for wallet in policy.signing_wallets()
    }
    ends = datetime.fromtimestamp(1_800_000_003, UTC)
    assert set(ours.values()) == {json.dumps(denial("us-east-1", ends=ends))}
    fault.revert(within_ms=0)
    fault.revert(within_ms=0)
    assert list(iam.written.values()) == ["{}"]
    assert fault.undo() == (), "a lease makes plain HTTP calls, and AWS wants signed ones"


def test_a_denial_that_cannot_be_written_or_deleted_is_an_error_that_names_the_role(
    tmp_path: Path,
) -> None:
    fault = _denied(tmp_path, _Iam("AccessDenied"))
    with pytest.raises(ServiceError, match=r"signer-.*-us-east-1 was not denied to sign"):
        fault.apply()
    with pytest.raises(ServiceError, match=r"the denial of .* is not deleted: .*AccessDenied"):
        fault.revert(within_ms=0)


def test_a_denial_without_an_end_is_never_written(tmp_path: Path) -> None:
    iam = _Iam()
    with pytest.raises(UsageError, match="its end cannot be written"):
        _denied(tmp_path, iam, length_ms=None).apply()
    assert iam.written == {}


@pytest.mark.parametrize(
    ("observed", "changes", "complaint"),
    [
        (PRODUCTION, {}, f"is of account {PRODUCTION}, and the stack belongs in {ACCOUNT_ID}"),
        (PRODUCTION, {"kind": "staging", "stack": "staging", "account": STAGING}, "belongs in"),
        (PRODUCTION, {"kind": "staging", "stack": "staging", "account": PRODUCTION}, "says acc"),
        (PRODUCTION, {"kind": "staging", "stack": "mine", "account": None}, "names no account"),
        (
            PRODUCTION,
            {"kind": "staging", "stack": "production", "account": None},
            "is the stack production and says that it is staging",
        ),
    ],
)
def test_no_signer_of_another_account_is_denied(
    tmp_path: Path, observed: str, changes: dict[str, Any], complaint: str
) -> None:
    """Whatever the file says of itself: the profiles may lead to production."""
    iam = _Iam(account=observed)
    with pytest.raises(UsageError, match=complaint) as refused:
        _denied(tmp_path, iam, **changes).apply()
    assert iam.written == {}
    assert refused.value.exit_code is ExitCode.USAGE


def test_an_account_that_is_not_known_denies_nobody(tmp_path: Path) -> None:
    iam = _Iam()

    def silent() -> NoReturn:
        raise EndpointConnectionError(endpoint_url="x")

    iam.get_caller_identity = silent  # type: ignore[method-assign]
    with pytest.raises(ServiceError, match="AWS does not say which account the profile seawall-"):
        _denied(tmp_path, iam).apply()
    assert iam.written == {}


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (signing.DENIED, "effective"),
        (ANSWERED, "clear"),
        (THROTTLED, "unclear"),
        (signing.SILENT, "unclear"),
    ],
)
def test_only_a_denial_is_this_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: str, state: str
) -> None:
    monkeypatch.setattr(signing_denied, "look", lambda _url: result)
    assert _denied(tmp_path, _Iam()).observe().state == state


@pytest.mark.parametrize(
    ("action", "region", "at", "allowed"),
    [
        ("kms:Sign", "us-east-1", "2026-11-29T10:59:59Z", False),
        ("kms:Sign", "us-east-1", "2026-11-29T11:00:00Z", True),
        ("kms:Sign", "us-west-2", "2026-11-29T10:59:59Z", True),
        ("kms:GetPublicKey", "us-east-1", "2026-11-29T10:59:59Z", True),
    ],
)
def test_the_denial_holds_for_signing_in_its_region_until_its_second(
    action: str, region: str, at: str, allowed: bool
) -> None:
    """As AWS evaluates it: an explicit deny wins, and DateLessThan is false from the date on."""
    role = "arn:aws:iam::123456789012:role/signer"
    may = {"Effect": "Allow", "Action": ["kms:Sign", "kms:GetPublicKey"], "Resource": "*"}
    named = may | {"Principal": {"AWS": role}}
    ends = datetime(2026, 11, 29, 11, tzinfo=UTC)
    request = Request(
        principal=Principal(arn=role, account="123456789012", role=role),
        action=action,
        resource=f"arn:aws:kms:{region}:123456789012:key/k",
        context={"aws:requestedregion": region, "aws:currenttime": at},
    )
    key = json.dumps({"Version": "2012-10-17", "Statement": [named]})
    policies = Policies(
        identity=(json.dumps(denial("us-east-1", ends=ends)),),
        resource=ResourcePolicy(documents=(key,), decisive=True),
    )
    assert decide(request, policies).allowed is allowed
