"""The statements of providers of a rail, read from real providers for a drill's evidence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from seawall.errors import EvidenceError
from seawall.evidence.statements import export_statements
from seawall.formats.payout_rail import Instruction
from seawall.formats.rail_providers import RailProvider, RailProviders
from seawall.scorecard.run import Run
from seawall.scorecard.statements import alive, settled
from tests.testing.providers import ACCOUNT, CLOSED_ACCOUNT, READER, Provider, running

pytestmark = pytest.mark.integration

MANY = 520
"""More than a provider says at once."""


@pytest.fixture
def both(tmp_path: Path) -> Iterator[dict[str, Provider]]:
    found = {
        side: Provider(module="processor", name=side, folder=tmp_path / side)
        for side in ("primary", "standby")
    }
    with running(*found.values()):
        yield found


def _rails(
    both: dict[str, Provider], folder: Path, shown: str = READER
) -> dict[str, RailProviders]:
    reader = folder / "reader.credential"
    reader.write_text(f"{shown}\n")
    reader.chmod(0o600)
    sides = {side: RailProvider(url=each.url, reader=reader) for side, each in both.items()}
    return {"fiat": RailProviders(**sides)}


def _pay(provider: Provider, client_id: str, to: str = ACCOUNT) -> None:
    asked = Instruction(client_id=client_id, asset="USDX", amount="7", destination=to)
    assert provider.submit(asked).status_code == 201


def test_each_line_of_both_statements_is_evidence(
    both: dict[str, Provider], tmp_path: Path
) -> None:
    """What was settled, what came back, and what was cancelled unknown; in order, by provider."""
    _pay(both["primary"], "a-1")
    _pay(both["primary"], "b-1", CLOSED_ACCOUNT)
    both["primary"].until_settled(2)
    assert both["primary"].ask("POST", "/payouts/c-1/cancel").status_code == 200
    _pay(both["standby"], "c-2")
    both["standby"].until_settled(1)

    export_statements(_rails(both, tmp_path), into=tmp_path / "rails")

    lines = Run(tmp_path).statements
    assert {(line.rail, line.side, line.client_id, line.state) for line in lines} == {
        ("fiat", "primary", "a-1", "accepted"),
        ("fiat", "primary", "a-1", "settled"),
        ("fiat", "primary", "b-1", "accepted"),
        ("fiat", "primary", "b-1", "returned"),
        ("fiat", "primary", "c-1", "cancelled"),
        ("fiat", "standby", "c-2", "accepted"),
        ("fiat", "standby", "c-2", "settled"),
    }
    assert [line.n for line in lines] == [1, 2, 3, 4, 5, 1, 2]
    assert {payout.tx_hash for payout in settled(lines)} == {"a-1", "c-2"}
    assert {(payout.tx_hash, payout.amount, payout.to) for payout in alive(lines)} == {
        ("a-1", 7, ACCOUNT),
        ("c-2", 7, ACCOUNT),
    }


@pytest.mark.nightly  # it is written payout by payout
def test_a_long_statement_is_read_to_its_end(both: dict[str, Provider], tmp_path: Path) -> None:
    for number in range(MANY):
        both["standby"].ask("POST", f"/payouts/x-{number}/cancel")

    export_statements(_rails(both, tmp_path), into=tmp_path / "rails")

    assert [line.n for line in Run(tmp_path).statements] == [*range(1, MANY + 1)]


def test_a_provider_that_does_not_answer_leaves_no_statement_at_all(
    both: dict[str, Provider], tmp_path: Path
) -> None:
    """Half of it would say that nothing was paid twice. Nor does one answer a stranger."""
    with pytest.raises(
        EvidenceError, match="primary provider of fiat cannot be read: HTTPStatusError"
    ):
        export_statements(_rails(both, tmp_path, "stranger"), into=tmp_path / "rails")
    both["standby"].kill()
    with pytest.raises(
        EvidenceError, match="standby provider of fiat cannot be read: ConnectError"
    ):
        export_statements(_rails(both, tmp_path), into=tmp_path / "rails")

    assert not (tmp_path / "rails" / "statements.csv").exists()
