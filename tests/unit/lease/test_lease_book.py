"""The book of leases, one row per operation and state."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from seawall.lease.book import LeaseBook, LeaseRequest, UndoCall

REQUEST = LeaseRequest(
    ttl_ms=4_000, undo=(UndoCall(method="DELETE", url="http://127.0.0.1:1/fault"),)
)
OTHER = LeaseRequest(ttl_ms=4_000, undo=())


def _held() -> LeaseBook:
    book = LeaseBook().lodge("dark", REQUEST, now_ms=1_000)
    assert book is not None
    return book


def test_renewal_counts_from_the_moment_it_is_made() -> None:
    """A renewal gives a whole time to live again, and leaves the old book as it was."""
    held = _held()
    renewed = held.renew("dark", now_ms=3_000, at=17.5)
    assert renewed is not None
    assert (renewed.next_deadline_ms(), held.next_deadline_ms()) == (7_000, 5_000)
    assert (renewed.leases["dark"].renewals, renewed.leases["dark"].renewed_at) == (1, 17.5)


@pytest.mark.parametrize(("now_ms", "overdue"), [(4_999, 0), (5_000, 1), (9_000, 1)])
def test_a_lease_is_overdue_exactly_at_its_deadline(now_ms: int, overdue: int) -> None:
    """One millisecond decides, and a lease is handed out for undoing only once."""
    book, due = _held().expire(now_ms=now_ms)
    assert len(due) == overdue
    assert book.expire(now_ms=now_ms)[1] == ()


@pytest.mark.parametrize("late_ms", [5_000, 60_000])
def test_an_overdue_lease_cannot_be_renewed_or_lodged_again(late_ms: int) -> None:
    """Even before it is marked as expiring."""
    held = _held()
    assert held.renew("dark", now_ms=late_ms, at=0.0) is None
    assert held.lodge("dark", REQUEST, now_ms=late_ms) is None


def test_an_expiring_lease_refuses_everything_until_its_undo_is_done() -> None:
    """After that its name is free."""
    expiring, _ = _held().expire(now_ms=5_000)
    assert expiring.renew("dark", now_ms=5_000, at=0.0) is None
    assert expiring.release("dark") is None
    assert expiring.lodge("dark", REQUEST, now_ms=5_000) is None
    assert expiring.next_deadline_ms() is None
    assert expiring.forget("dark").lodge("dark", OTHER, now_ms=5_000) is not None


def test_a_held_name_takes_only_the_same_request_again() -> None:
    """Lodging is idempotent for its owner and refused to others."""
    assert _held().lodge("dark", OTHER, now_ms=1_500) is None
    again = _held().lodge("dark", REQUEST, now_ms=1_500)
    assert again is not None
    assert again.next_deadline_ms() == 5_500


def test_release_forgets_and_an_unknown_name_is_not_held() -> None:
    """Only a lease that is held can be given back or renewed."""
    released = _held().release("dark")
    assert released == LeaseBook()
    assert LeaseBook().release("dark") is None
    assert LeaseBook().renew("dark", now_ms=0, at=0.0) is None


def test_a_book_survives_being_written_down() -> None:
    """The sentinel reads what the holder knew."""
    assert LeaseBook.model_validate_json(_held().model_dump_json(by_alias=True)) == _held()


@pytest.mark.parametrize(
    "undo",
    [
        {"method": "GET", "url": "http://x"},
        {"method": "DELETE", "url": "file:///x"},
        {"method": "DELETE"},
    ],
)
def test_an_undo_that_could_not_undo_is_refused(undo: dict[str, str]) -> None:
    """Only calls that change something, over HTTP."""
    with pytest.raises(ValidationError):
        LeaseRequest.model_validate({"ttl_ms": 1, "undo": [undo]})
