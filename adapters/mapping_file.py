"""The model of a mapping file, and every mistake that can be seen before a venue is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from seawall.errors import Problem
from seawall.formats.drill_contract import RefusalCode, WithdrawalState
from seawall.policy import Tier

LOGIN = "login"
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PATH = re.compile(r"/[^\s?#]*")
_FIELD = re.compile(r"\.|[^.\s]+(\.[^.\s]+)*")
_WITHDRAWAL = ("id", "network", "source_network", "asset", "amount", "destination")
_FOLLOWED = ("id", "venue_id")
_CUSTOMER = ("customer_id", "credential", "session")
_VALUES: dict[str, tuple[str, ...]] = {
    "login": (),
    "balances": (),
    "request_withdrawal": _WITHDRAWAL,
    "follow_withdrawal": _FOLLOWED,
    "cancel_withdrawal": _FOLLOWED,
    "quote": ("network", "sell", "buy", "amount"),
    "swap": ("id", "network", "sell", "buy", "amount"),
    "status": (),
    "ticket": ("kind", "text"),
}
"""What a request may say, by operation; besides who asks, which all but the status may."""
_FOLLOW_ANSWER = ("state", "reason", "tx_hash", "seq", "venue_id")
_ANSWERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "login": ((), ("session", "customer_id")),
    "balances": (("balances", "asset", "available"), ("network",)),
    "request_withdrawal": ((), ("venue_id", "state", "seq")),
    "follow_withdrawal": (("state",), _FOLLOW_ANSWER),
    "cancel_withdrawal": (("state",), _FOLLOW_ANSWER),
    "quote": ((), ("buy_amount",)),
    "swap": ((), ("buy_amount",)),
    "status": (("tier",), ("epoch", "reason")),
    "ticket": ((), ("id",)),
}
"""What an answer must say and may say, by operation."""

OperationName = Literal[
    "login",
    "balances",
    "request_withdrawal",
    "follow_withdrawal",
    "cancel_withdrawal",
    "quote",
    "swap",
    "status",
    "ticket",
]
_SuccessStatus = Annotated[int, Field(ge=200, le=299)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CredentialHeader(_Part):
    """The header of every request in a customer's name."""

    header: str
    value: str


class MappedOperation(_Part):
    """One operation: its request, the statuses of its success, and where its answer says what.

    ``replayed`` are the statuses with which a withdrawal that was sent before is answered.
    ``answer`` is a path into the venue's JSON by field of the contract.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    body: JsonValue = None
    success: tuple[_SuccessStatus, ...] = Field(min_length=1)
    replayed: tuple[_SuccessStatus, ...] = ()
    answer: dict[str, str] = Field(default_factory=dict)


class MappedRefusals(_Part):
    """Where a refusal says why, and which code of the contract the venue's word or status is."""

    code: str | None = None
    reason: str | None = None
    codes: dict[str, RefusalCode] | None = None
    statuses: dict[Annotated[str, Field(pattern=r"^[45][0-9][0-9]$")], RefusalCode] = Field(
        default_factory=dict
    )


class MappingFile(_Part):
    """The whole file. Operations that it leaves out are not offered."""

    credential: CredentialHeader | None = None
    amounts: Literal["decimal", "base_units"]
    assets: dict[str, dict[str, str]] | None = None
    operations: dict[OperationName, MappedOperation] = Field(min_length=1)
    states: dict[str, WithdrawalState] | None = None
    tiers: dict[str, Tier] | None = None
    refusals: MappedRefusals = MappedRefusals()


def texts_of(file: MappingFile) -> Iterator[tuple[str, str]]:
    """Every text with placeholders, with its path in the file."""
    if file.credential is not None:
        yield "credential.value", file.credential.value
    for name, operation in file.operations.items():
        for place, text in _texts(operation):
            yield f"operations.{name}.{place}", text


def _texts(operation: MappedOperation) -> Iterator[tuple[str, str]]:
    yield "path", operation.path
    for part, texts in (("query", operation.query), ("headers", operation.headers)):
        for name, text in texts.items():
            yield f"{part}.{name}", text
    yield from _body_texts("body", operation.body)


def _body_texts(place: str, body: Any) -> Iterator[tuple[str, str]]:
    if isinstance(body, str):
        yield place, body
    elif isinstance(body, list | dict):
        items = body.items() if isinstance(body, dict) else enumerate(body)
        for name, item in items:
            yield from _body_texts(f"{place}.{name}", item)


def problems_of(file: MappingFile, decimals: Mapping[str, int] | None) -> list[Problem]:
    """Everything that is wrong with ``file``; ``decimals`` are the policy's, if it is known."""
    return [
        *_of_credential(file),
        *_of_session(file),
        *_of_secrets(file),
        *_of_assets(file, decimals),
        *(
            problem
            for name, operation in file.operations.items()
            for problem in _of_operation(file, name, operation)
        ),
    ]


def _of_credential(file: MappingFile) -> Iterator[Problem]:
    credential = file.credential
    if credential is None:
        return
    if not _HEADER_NAME.fullmatch(credential.header):
        yield Problem(
            path="credential.header", found=repr(credential.header), remedy="name a header"
        )
    yield from _placeholders("credential.value", credential.value, _CUSTOMER)


def _of_session(file: MappingFile) -> Iterator[Problem]:
    """A session is opened by a login, and its answer must say it."""
    users = [place for place, text in texts_of(file) if "{session}" in text]
    login = file.operations.get("login")
    if users and (login is None or "session" not in login.answer):
        yield Problem(
            path=users[0],
            found="{session}, which nothing opens",
            remedy="declare the operation `login` with `answer: {session: ...}`",
        )


def _of_secrets(file: MappingFile) -> Iterator[Problem]:
    """An address stands in logs and in evidence, so no secret may be in one."""
    for name, operation in file.operations.items():
        for place, text in (
            (f"operations.{name}.path", operation.path),
            *((f"operations.{name}.query.{key}", text) for key, text in operation.query.items()),
        ):
            if "{credential}" in text or "{session}" in text:
                yield Problem(
                    path=place,
                    found="a credential in the address",
                    remedy="put it into `credential`, a header or the body; addresses are logged",
                )


def _of_assets(file: MappingFile, decimals: Mapping[str, int] | None) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    balances = file.operations.get("balances")
    by_network = balances is None or "network" in balances.answer
    if file.assets is None and not by_network:
        yield Problem(
            path="operations.balances.answer",
            found="no network",
            remedy="say in which field the network stands, or name the assets under `assets`",
        )
    for network, assets in (file.assets or {}).items():
        own_here: set[str] = set()
        for asset, own in assets.items():
            path = f"assets.{network}.{asset}"
            if decimals is not None and asset not in decimals:
                yield Problem(path=path, found="an asset that the policy lacks", remedy="remove it")
            if own in own_here or (not by_network and own in seen):
                yield Problem(
                    path=path,
                    found=f"{own!r}, which is also the name of {seen[own]}",
                    remedy="give each asset a name of its own, or say where the balances name"
                    " the network",
                )
            own_here.add(own)
            seen[own] = f"{asset} on {network}"


def _of_operation(file: MappingFile, name: str, operation: MappedOperation) -> Iterator[Problem]:
    where = f"operations.{name}"
    if not _PATH.fullmatch(operation.path):
        yield Problem(
            path=f"{where}.path",
            found=repr(operation.path),
            remedy="begin it with a slash, and put what follows a ? under `query`",
        )
    for header in operation.headers:
        if not _HEADER_NAME.fullmatch(header):
            yield Problem(path=f"{where}.headers", found=repr(header), remedy="name a header")
    if operation.method == "GET" and operation.body is not None:
        yield Problem(path=f"{where}.body", found="a body of a GET", remedy="use `query`")
    if operation.replayed and name != "request_withdrawal":
        yield Problem(
            path=f"{where}.replayed",
            found="statuses of a repetition",
            remedy="only request_withdrawal has them",
        )
    if both := set(operation.replayed) & set(operation.success):
        yield Problem(
            path=f"{where}.replayed",
            found=f"{min(both)}, which is also a status of success",
            remedy="leave out `replayed` if the venue does not tell them apart",
        )
    yield from _of_request(file, name, operation)
    yield from _of_answer(file, name, operation)


def _of_request(file: MappingFile, name: str, operation: MappedOperation) -> Iterator[Problem]:
    where = f"operations.{name}"
    who = {"status": (), "login": _CUSTOMER[:2]}.get(name, _CUSTOMER)
    texts = list(_texts(operation))
    for place, text in texts:
        yield from _placeholders(f"{where}.{place}", text, (*who, *_VALUES[name]))
    used = {found for _, text in texts for found in PLACEHOLDER.findall(text)}
    needed = {
        "request_withdrawal": {"id", "asset", "amount", "destination"},
        "swap": {"sell", "buy", "amount"},
        "quote": {"sell", "buy", "amount"},
    }.get(name, set())
    for missing in sorted(needed - used):
        yield Problem(
            path=where,
            found=f"no {{{missing}}} in the request",
            remedy="without the client's id a request that is sent again is paid again"
            if missing == "id"
            else "say where the venue wants it",
        )
    if name in ("follow_withdrawal", "cancel_withdrawal") and not used & set(_FOLLOWED):
        yield Problem(
            path=where, found="neither {id} nor {venue_id}", remedy="say which withdrawal is meant"
        )
    request = file.operations.get("request_withdrawal")
    if "venue_id" in used and request is not None and "venue_id" not in request.answer:
        yield Problem(
            path=where,
            found="{venue_id}, which is never learnt",
            remedy="say under request_withdrawal.answer where the venue names it",
        )
    said = set() if file.credential is None else set(PLACEHOLDER.findall(file.credential.value))
    if name == LOGIN and "session" in said:
        said = set()  # a login is sent without the session that it opens
    if name != "status" and not (used | said) & {"credential", "session"}:
        yield Problem(
            path=where,
            found="no {credential} and no {session}",
            remedy="say under `credential` how a customer proves who it is",
        )


def _of_answer(file: MappingFile, name: str, operation: MappedOperation) -> Iterator[Problem]:
    where = f"operations.{name}.answer"
    required, optional = _ANSWERS[name]
    for field, path in operation.answer.items():
        if field not in (*required, *optional):
            yield Problem(
                path=f"{where}.{field}",
                found="a field that the contract's answer lacks",
                remedy=f"the fields are {', '.join(dict.fromkeys((*required, *optional)))}",
            )
        if not _FIELD.fullmatch(path):
            yield Problem(
                path=f"{where}.{field}",
                found=repr(path),
                remedy="write names with dots between them, such as payout.status",
            )
    for field in required:
        if field not in operation.answer:
            yield Problem(path=f"{where}.{field}", found="nothing", remedy="add it")
    if file.amounts == "decimal" and "buy_amount" in operation.answer:
        yield Problem(
            path=f"{where}.buy_amount",
            found="a decimal amount of an asset that the answer does not name",
            remedy="leave it out; no drill reads it",
        )


def _placeholders(place: str, text: str, known: tuple[str, ...]) -> Iterator[Problem]:
    for found in PLACEHOLDER.findall(text):
        if found not in known:
            yield Problem(
                path=place,
                found=f"the placeholder {{{found}}}",
                remedy=f"known here are {', '.join(known)}" if known else "none is known here",
            )
    if set("{}") & set(PLACEHOLDER.sub("", text)):
        yield Problem(
            path=place,
            found=f"{text!r}, with a brace that belongs to no placeholder",
            remedy="write placeholders as {name}, and no other braces",
        )
