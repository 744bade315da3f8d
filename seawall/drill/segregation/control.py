"""Key control: every key signs a challenge, and must be the key that was declared.

The challenge names stack, key and time; it is signed in both regions.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import asyncpg
import httpx
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from seawall.drill.segregation.actors import Actors
from seawall.errors import ServiceError
from seawall.ethereum.keys import (
    ORDER,
    Signature,
    personal_message_hash,
    recover_address,
    recover_message_signer,
    to_bytes,
)
from seawall.keys import access
from seawall.keys.proofs import proof_text
from seawall.policy import Policy
from seawall.scorecard.one_control import Proof

_TIMEOUT_S = 10
_LOGGED = """
    select l.id from proof_log l join proof_signatures s on s.proof_id = l.id
    where l.id = any($1::bigint[]) and l.asked_at <= s.given_at"""


@dataclass(frozen=True, kw_only=True)
class DeclaredKey:
    """A key as the stack's outputs declare it."""

    name: str
    key_id: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Challenged:
    """A proof, and its line in the signer's log if it went through one."""

    proof: Proof
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class SignerDoor:
    """Where a region's signer is reached, and the headers by which it knows who asks."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def challenge(*, stack: str, key: DeclaredKey, region: str, now: datetime) -> str:
    """A text that was never signed before."""
    return proof_text(
        stack=stack,
        name=key.name,
        key=key.key_id,
        region=region,
        time=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        challenge=secrets.token_hex(16),
    )


def _challenged(*, stack: str, key: DeclaredKey, region: str) -> Proof:
    """The proof that a key is asked for now: its challenge, and no answer yet."""
    return Proof(
        name=key.name,
        region=region,
        declared=key.address,
        recovered=None,
        logged=None,
        reason="",
        text=challenge(stack=stack, key=key, region=region, now=datetime.now(UTC)),
    )


def through_signer(
    client: httpx.Client, door: SignerDoor, *, stack: str, key: DeclaredKey, region: str
) -> Challenged:
    """Ask the signer of ``region`` for a proof by the key of a wallet."""
    proof = _challenged(stack=stack, key=key, region=region)
    try:
        answer = client.post(
            f"{door.url}/prove",
            json={"wallet": key.name, "text": proof.text},
            headers=door.headers,
            timeout=_TIMEOUT_S,
        )
        body = answer.json()
        if not answer.is_success:
            return Challenged(
                proof=replace(proof, reason=str(body.get("reason", answer.status_code)))
            )
        recovered = recover_message_signer(proof.text, to_bytes(str(body["signature"])))
        return Challenged(
            proof=replace(proof, recovered=recovered, reason="answered by its signer"),
            number=int(body["number"]),
        )
    except httpx.HTTPError as error:
        return Challenged(proof=replace(proof, reason=f"the signer does not answer: {error!r}"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Challenged(
            proof=replace(proof, reason=f"the signer's answer makes no sense: {error!r}")
        )


def by_role(
    actors: Actors, principal: access.Principal, *, stack: str, key: DeclaredKey, region: str
) -> Challenged:
    """Have ``principal`` sign a proof with its key.

    An approver has no signer in front of it, its log is the account's trail.
    """
    proof = _challenged(stack=stack, key=key, region=region)
    digest = personal_message_hash(proof.text)
    try:
        der = actors.kms(principal, region).sign(
            KeyId=key.key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
        )["Signature"]
        recovered = _recover(der, digest, key.address)
    except (ClientError, BotoCoreError, ServiceError, ValueError) as error:
        return Challenged(proof=replace(proof, reason=str(error)))
    return Challenged(proof=replace(proof, recovered=recovered, reason="answered by its role"))


def _recover(der: bytes, digest: bytes, declared: str) -> str:
    """Address of the key that made ``der``.

    KMS leaves out which of two it is, so the declared one is looked for first.
    """
    r, s = decode_dss_signature(der)
    s = min(s, ORDER - s)
    found = []
    for y_parity in (0, 1):
        try:
            found.append(recover_address(digest, Signature(y_parity=y_parity, r=r, s=s)))
        except ValueError:  # no point has this r with this parity
            continue
    if not found:
        message = "no key makes such a signature"
        raise ValueError(message)
    return declared.lower() if declared.lower() in found else found[0]


def challenge_all(
    actors: Actors,
    policy: Policy,
    *,
    stack: str,
    wallets: Mapping[str, DeclaredKey],
    approvers: Mapping[str, DeclaredKey],
    doors: Mapping[str, SignerDoor],
) -> list[Challenged]:
    """Challenge every key in both regions; ``doors`` by region, empty if no venue runs."""
    found = []
    with httpx.Client(trust_env=False) as client:
        for region in access.regions(policy):
            door = doors.get(region)
            for key in wallets.values():
                if door is None:
                    proof = Proof(
                        name=key.name,
                        region=region,
                        declared=key.address,
                        recovered=None,
                        logged=None,
                        reason="no signer was named",
                        text="",
                    )
                    found.append(Challenged(proof=proof))
                else:
                    found.append(through_signer(client, door, stack=stack, key=key, region=region))
            for role, key in approvers.items():
                who = access.approver(policy, role)
                found.append(by_role(actors, who, stack=stack, key=key, region=region))
    return found


async def looked_up(challenged: Collection[Challenged], auditor_url: str | None) -> list[Proof]:
    """The proofs, with what the signers' log says of them.

    Raises :class:`ServiceError` if the log cannot be read.
    """
    numbers = [each.number for each in challenged if each.number is not None]
    if auditor_url is None or not numbers:
        return [each.proof for each in challenged]
    try:
        connection = await asyncpg.connect(auditor_url, timeout=_TIMEOUT_S)
        try:
            logged = {row["id"] for row in await connection.fetch(_LOGGED, numbers)}
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        message = f"the signers' log cannot be read: {error}"
        raise ServiceError(message) from error
    return [
        each.proof if each.number is None else replace(each.proof, logged=each.number in logged)
        for each in challenged
    ]
