"""The mapping file: how a venue's own paths, fields and words stand for those of the contract.

docs/speaking.md describes the file. :func:`load` reads it whole or refuses it with every problem,
so that nothing is found out only in the middle of a drill.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from adapters.mapping_file import (
    LOGIN,
    PLACEHOLDER,
    MappedOperation,
    MappingFile,
    problems_of,
    texts_of,
)
from seawall.errors import DocumentError, ServiceError, UsageError
from seawall.formats.documents import read_model
from seawall.formats.drill_contract import (
    Balance,
    Balances,
    Credentials,
    HttpRequest,
    Login,
    Message,
    Quote,
    Refusal,
    RefusalCode,
    Status,
    SwapReceipt,
    Ticket,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalState,
    is_redirect,
    shown,
)
from seawall.policy import Tier

WHOLE = "."
"""The path of a whole answer, for one that is a list."""
_FAILURE = 400
AMOUNT_DIGITS_MAX = 50
"""Of whole units: more than any asset has, and few enough to compute with."""
_DIGITS = re.compile(r"[0-9]{1,77}")


def load(path: Path, decimals: Mapping[str, int] | None) -> MappingAdapter:
    """The adapter for the mapping file at ``path``; ``decimals`` are the policy's, by asset.

    Raises :class:`UsageError`, which for a file that is malformed lists every problem.
    """
    file = read_model(path, MappingFile, remedy="docs/speaking.md shows a mapping file")
    if file.amounts == "decimal" and decimals is None:
        raise UsageError(
            f"{path} speaks of decimal amounts, and it is not known how many decimals an asset has",
            remedy="name the policy, or write `amounts: base_units`",
        )
    problems = problems_of(file, decimals)
    if problems:
        raise DocumentError(str(path), problems)
    return MappingAdapter(file, decimals or {})


class MappingAdapter:
    """Translates as a mapping file says; of a file without problems."""

    def __init__(self, file: MappingFile, decimals: Mapping[str, int]) -> None:
        self._file, self._decimals = file, decimals
        self.operations: frozenset[str] = frozenset(file.operations)
        self.needs_session = any("{session}" in text for _, text in texts_of(file))
        self.transfers = any("{source_network}" in text for _, text in texts_of(file))
        self._own_names = {
            (network, own): asset
            for network, assets in (file.assets or {}).items()
            for asset, own in assets.items()
        }
        self._networks_of: dict[str, str] = {own: network for network, own in self._own_names}

    # --- requests
    def request(
        self,
        operation: str,
        values: Mapping[str, str],
        *,
        customer: Credentials | None,
        session: str | None = None,
        venue_id: str | None = None,
    ) -> HttpRequest:
        """The request for ``operation``. Raises :class:`UsageError` if it cannot be made."""
        declared = self._declared(operation)
        if "source_network" in values and not self.transfers:
            raise UsageError("the venue pays from the network that it pays on, and from no other")
        known = dict(values) if customer is None else dict(values) | self._who(customer)
        known |= {} if session is None else {"session": session}
        known |= {} if venue_id is None else {"venue_id": venue_id}
        known |= self._named_as_the_venue_does(values)
        headers = {
            name.lower(): _header(_filled(text, known, operation))
            for name, text in declared.headers.items()
        }
        credential = self._file.credential
        # A login cannot carry the session that it is to open.
        opening = operation == LOGIN and credential and "{session}" in credential.value
        if credential is not None and customer is not None and not opening:
            headers[credential.header.lower()] = _header(
                _filled(credential.value, known, operation)
            )
        body = None
        if declared.body is not None:
            headers.setdefault("content-type", "application/json")
            filled = _filled_body(declared.body, known, operation)
            body = json.dumps(filled, separators=(",", ":")).encode()
        return HttpRequest(
            method=declared.method,
            path=PLACEHOLDER.sub(
                lambda found: quote(_value(found[1], known, operation), safe=""), declared.path
            ),
            query={
                name: _filled(text, known, operation)
                for name, text in declared.query.items()
                if not _absent(text, known)
            },
            headers=headers,
            body=body,
        )

    def _declared(self, operation: str) -> MappedOperation:
        for name, declared in self._file.operations.items():
            if name == operation:
                return declared
        raise UsageError(f"the mapping file declares no {operation}")

    @staticmethod
    def _who(customer: Credentials) -> dict[str, str]:
        return {"customer_id": customer.customer_id, "credential": customer.credential}

    def _named_as_the_venue_does(self, values: Mapping[str, str]) -> dict[str, str]:
        """Assets by the venue's names, and the amount in its units."""
        found: dict[str, str] = {}
        for name in ("asset", "sell", "buy"):
            if name in values and self._file.assets is not None:
                network = values.get("network", "")
                own = self._file.assets.get(network, {}).get(values[name])
                if own is None:
                    raise UsageError(
                        f"the mapping file does not say what the venue calls {values[name]} on"
                        f" {network}",
                        remedy="name it under `assets`",
                    )
                found[name] = own
        if "amount" in values and self._file.amounts == "decimal":
            asset = values.get("asset") or values.get("sell", "")
            if asset not in self._decimals:
                raise UsageError(f"the policy has no asset {asset}, so its decimals are not known")
            found["amount"] = decimal_text(int(values["amount"]), self._decimals[asset])
        return found

    # --- answers
    def answer(
        self, operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Message:
        """The message that the answer stands for.

        Raises :class:`ServiceError` for one that the mapping file does not foresee.
        """
        declared = self._declared(operation)
        call = f"{declared.method} {declared.path}"
        if is_redirect(status):
            raise ServiceError(
                f"{call} was answered with a redirect ({status}) to"
                f" {headers.get('location', 'nowhere')}, which is never followed"
            )
        answer = _Answer(call, status, body)
        if status >= _FAILURE:
            return self._refusal(answer)
        if status not in (*declared.success, *declared.replayed):
            raise answer.error("which is no declared success")
        fields = declared.answer
        match operation:
            case "login":
                return Login(
                    session=answer.text(fields["session"]) if "session" in fields else "",
                    customer_id=answer.optional(fields.get("customer_id")),
                )
            case "balances":
                return Balances(balances=tuple(self._balances(answer, fields)))
            case "request_withdrawal":
                return WithdrawalReceipt(
                    venue_id=answer.text(fields["venue_id"]) if "venue_id" in fields else None,
                    seq=answer.whole(fields.get("seq")),
                    state=self._word(answer, fields.get("state"), self._file.states, "states"),
                    outcome="replayed" if status in declared.replayed else "accepted",
                )
            case "follow_withdrawal" | "cancel_withdrawal":
                return Withdrawal(
                    venue_id=answer.optional(fields.get("venue_id")),
                    seq=answer.whole(fields.get("seq")),
                    state=self._word(answer, fields["state"], self._file.states, "states"),
                    reason=answer.optional(fields.get("reason")),
                    tx_hash=answer.optional(fields.get("tx_hash")),
                )
            case "status":
                return Status(
                    tier=self._word(answer, fields["tier"], self._file.tiers, "tiers"),
                    epoch=answer.whole(fields.get("epoch")),
                    reason=answer.optional(fields.get("reason")),
                )
            case "quote":
                return Quote(buy_amount=self._base_units_of(answer, fields))
            case "swap":
                return SwapReceipt(buy_amount=self._base_units_of(answer, fields))
            case _:
                return Ticket(id=answer.optional(fields.get("id")))

    def _refusal(self, answer: _Answer) -> Refusal:
        declared = self._file.refusals
        reason = answer.optional(declared.reason) or f"status {answer.status}"
        own = answer.optional(declared.code)
        known: Mapping[str, RefusalCode] = _OWN_CODES if declared.codes is None else declared.codes
        code = known.get(own) if own is not None else None
        code = code or declared.statuses.get(str(answer.status))
        if code is None:
            said = f"and the code {own!r}" if own is not None else "without a code"
            raise answer.error(
                f"{said}, for which the mapping file has no word of the contract under `refusals`"
            )
        return Refusal(code=code, reason=reason)

    def _word(
        self, answer: _Answer, path: str | None, words: Mapping[str, str] | None, where: str
    ) -> Any:
        """The contract's word for the venue's; None if the file does not say where it stands."""
        if path is None:
            return None
        own = answer.text(path)
        if words is None:
            known = _WORDS[where]
            if own in known:
                return own
        elif own in words:
            return words[own]
        raise answer.error(f"and {path} is {own!r}, which the mapping file's `{where}` lacks")

    def _balances(self, answer: _Answer, fields: Mapping[str, str]) -> Iterator[Balance]:
        """The balances of the assets that the file names; what else the venue has is passed by."""
        listed = answer.at(fields["balances"])
        if not isinstance(listed, list):
            raise answer.error(f"and {fields['balances']} is no list")
        for item in listed:
            row = answer.part(item)
            own = row.text(fields["asset"])
            network = row.text(fields["network"]) if "network" in fields else None
            if self._file.assets is None:
                asset: str | None = own
            else:
                network = network or self._networks_of.get(own)
                asset = self._own_names.get((network or "", own))
            if asset is None or network is None:
                continue
            if self._file.amounts == "decimal" and asset not in self._decimals:
                continue
            available = self._base_units(row, fields["available"], asset)
            yield Balance(network=network, asset=asset, available=str(available))

    def _base_units(self, answer: _Answer, path: str, asset: str | None) -> int:
        """The amount at ``path``; parts of a base unit cannot be spent and are left out."""
        written = answer.at(path)
        text = str(written)
        if self._file.amounts == "base_units":
            if not _DIGITS.fullmatch(text):
                raise answer.error(f"and {path} is {written!r}, not whole base units")
            return int(text)
        try:
            amount = Decimal(text)
            if not (amount.is_finite() and amount >= 0 and amount.adjusted() < AMOUNT_DIGITS_MAX):
                raise answer.error(f"and {path} is {written!r}, not an amount")
        except InvalidOperation:
            raise answer.error(f"and {path} is {written!r}, not an amount") from None
        _, digits, exponent = amount.as_tuple()
        assert isinstance(exponent, int)
        shift = exponent + self._decimals[asset or ""]
        whole = int("".join(map(str, digits)))
        if shift >= 0:
            return whole * int(10**shift)
        return whole // int(10 ** min(-shift, len(digits) + 1))

    def _base_units_of(self, answer: _Answer, fields: Mapping[str, str]) -> str | None:
        if "buy_amount" not in fields:
            return None
        return str(self._base_units(answer, fields["buy_amount"], None))


_OWN_CODES: dict[str, RefusalCode] = {code: code for code in get_args(RefusalCode)}
"""A file without `codes` is of a venue that says those of the contract."""
_WORDS: dict[str, tuple[str, ...]] = {"states": get_args(WithdrawalState), "tiers": get_args(Tier)}


class _Answer:
    """A venue's JSON, read by path; whatever is not there or of the wrong kind is an error."""

    def __init__(self, call: str, status: int, body: bytes) -> None:
        self._call, self.status, self._body = call, status, body
        self._parsed: Any = None
        self._read = False

    def error(self, complaint: str) -> ServiceError:
        """What to raise for this answer."""
        return ServiceError(
            f"{self._call} was answered with {self.status}, {complaint}: {shown(self._body)}"
        )

    def part(self, value: Any) -> _Answer:
        """An item of this answer."""
        item = _Answer(self._call, self.status, self._body)
        item._parsed, item._read = value, True
        return item

    def at(self, path: str) -> Any:
        """What stands at ``path``. Raises :class:`ServiceError` if nothing does."""
        found = self._find(path)
        if found is None:
            raise self.error(f"and it has no {path}")
        return found

    def text(self, path: str) -> str:
        """The text at ``path``; a whole number counts as text."""
        found = self.at(path)
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            raise self.error(f"and {path} is {found!r}, not text")
        return str(found)

    def optional(self, path: str | None) -> str | None:
        """The text at ``path``, or None if the venue does not give it here."""
        if path is None:
            return None
        try:
            found = self._find(path)
        except ServiceError:
            if self.status < _FAILURE:
                raise
            return None  # a refusal may be text for people
        return None if found is None or found == "" else self.text(path)

    def whole(self, path: str | None) -> int | None:
        """The whole number at ``path``, or None if the venue does not give it here."""
        found = self.optional(path)
        if found is None:
            return None
        if not _DIGITS.fullmatch(found):
            raise self.error(f"and {path} is {found!r}, not a whole number")
        return int(found)

    def _find(self, path: str) -> Any:
        if not self._read:
            try:
                self._parsed = json.loads(
                    self._body, parse_float=Decimal, parse_constant=_no_number
                )
            except (ValueError, RecursionError) as error:
                raise self.error("and not with JSON") from error
            self._read = True
        value = self._parsed
        if path == WHOLE:
            return value
        for part in path.split("."):
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value


def _no_number(text: str) -> Any:
    raise ValueError(text)


def decimal_text(amount: int, decimals: int) -> str:
    """``amount`` base units as whole units: exact, and without zeros at the end."""
    whole, part = divmod(amount, 10**decimals)
    fraction = f"{part:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def _value(name: str, known: Mapping[str, str], operation: str) -> str:
    if name not in known:
        raise UsageError(
            f"the mapping file needs {{{name}}} for {operation}, and it is not known"
            + (": the venue gave no id of its own" if name == "venue_id" else "")
        )
    return known[name]


def _filled(text: str, known: Mapping[str, str], operation: str) -> str:
    return PLACEHOLDER.sub(lambda found: _value(found[1], known, operation), text)


def _absent(template: Any, known: Mapping[str, str]) -> bool:
    """Whether ``template`` is nothing but the one optional value, and that is not given."""
    return template == "{source_network}" and "source_network" not in known


def _filled_body(template: Any, known: Mapping[str, str], operation: str) -> Any:
    if isinstance(template, str):
        return _filled(template, known, operation)
    if isinstance(template, list):
        return [_filled_body(item, known, operation) for item in template]
    if isinstance(template, dict):
        return {
            key: _filled_body(item, known, operation)
            for key, item in template.items()
            if not _absent(item, known)
        }
    return template


def _header(value: str) -> str:
    """``value``, if it can stand in a header: a line break in it would begin another one."""
    if not value.isascii() or not value.isprintable():
        raise UsageError("a header cannot carry a credential or session with control characters")
    return value
