"""The statements of rails' providers, read from the providers themselves as a reader.

In: where each provider is, and what a reader shows it. Out: ``statements.csv``, one row a line of
each statement from its first on. The venue has no part in this: what a provider has paid is what
the provider says.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
from pydantic import ValidationError

from seawall.errors import EvidenceError
from seawall.formats.atomic import write_whole
from seawall.formats.payout_rail import Balances, Statement, StatementLine
from seawall.formats.rail_providers import RailProvider, RailProviders

COLUMNS = (
    *("rail", "side", "n", "at", "client_id", "state"),
    *("asset", "amount", "destination", "reason"),
)
_ANSWER_S_MAX = 10.0


def export_statements(rails: Mapping[str, RailProviders], *, into: Path) -> None:
    """Write ``statements.csv`` under ``into``, whole or not at all.

    Raises :class:`EvidenceError` for a provider that does not answer, or whose lines have a gap:
    half a statement is no evidence.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rail, providers in rails.items():
        for side, provider in providers:
            for line in _lines(f"the {side} provider of {rail}", provider):
                writer.writerow((rail, side, *_cells(line)))
    into.mkdir(parents=True, exist_ok=True)
    write_whole(into / "statements.csv", text.getvalue())


def balances_of(who: str, provider: RailProvider) -> Balances:
    """What ``provider`` says that it would still pay, read as a reader.

    Raises :class:`EvidenceError`, which names ``who``, if it does not say so.
    """
    try:
        with httpx.Client(
            headers=provider.headers(), timeout=_ANSWER_S_MAX, trust_env=False
        ) as client:
            answer = client.get(f"{provider.url.rstrip('/')}/balances")
            answer.raise_for_status()
            return Balances.model_validate_json(answer.content)
    except (httpx.HTTPError, ValidationError) as error:
        raise EvidenceError(
            f"the balances of {who} cannot be read: {type(error).__name__} {error}"
        ) from error


def _cells(line: StatementLine) -> tuple[object, ...]:
    told, asked = line.payout, line.payout.instruction
    content = ("", "", "") if asked is None else (asked.asset, asked.amount, asked.destination)
    return (line.n, f"{line.at:.6f}", told.client_id, told.state, *content, told.reason or "")


def _lines(who: str, provider: RailProvider) -> Iterator[StatementLine]:
    after = 0
    with httpx.Client(headers=provider.headers(), timeout=_ANSWER_S_MAX, trust_env=False) as client:
        while True:
            try:
                answer = client.get(f"{provider.url.rstrip('/')}/statement?after={after}")
                answer.raise_for_status()
                statement = Statement.model_validate_json(answer.content)
            except (httpx.HTTPError, ValidationError) as error:
                raise EvidenceError(
                    f"the statement of {who} cannot be read: {type(error).__name__} {error}"
                ) from error
            for line in statement.lines:
                if line.n != after + 1:
                    raise EvidenceError(f"the statement of {who} has {line.n} after line {after}")
                after = line.n
                yield line
            if not statement.more:
                return
            if not statement.lines:
                raise EvidenceError(f"the statement of {who} ends at {after}, with more to come")
