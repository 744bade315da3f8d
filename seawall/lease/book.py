"""The book of leases: which undo is kept under which name, and until when.

A book is a value: each operation returns a new one, so that it can be written to disk before it
takes effect. Times are integer milliseconds of the monotonic clock that all processes of the
machine share. The file is what one of the two lease processes leaves to the other when it dies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seawall.errors import DiskFullError, InternalError, WorldError
from seawall.formats.atomic import write_whole

FILE = "leases.json"

LeaseName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UndoCall(_Value):
    """One idempotent HTTP call that undoes a fault.

    It is done when the answer is 2xx or 404 (nothing to undo).
    """

    method: Literal["DELETE", "POST", "PUT", "PATCH"]
    url: str = Field(pattern=r"^https?://")
    json_body: Any = Field(default=None, alias="json")


class LeaseRequest(_Value):
    """How an owner's fault is undone, and how long the owner may be silent (milliseconds)."""

    ttl_ms: int = Field(gt=0)
    undo: tuple[UndoCall, ...]


class Lease(_Value):
    """An undo that is kept.

    ``expiring`` is set once its owner has been silent for too long and the undo is under way.
    ``renewed_at`` is in Unix seconds.
    """

    name: LeaseName
    request: LeaseRequest
    deadline_ms: int
    expiring: bool = False
    renewals: int = 0
    renewed_at: float | None = None


class LeaseBook(_Value):
    """All leases by name."""

    leases: dict[str, Lease] = Field(default_factory=dict)

    def lodge(self, name: str, request: LeaseRequest, *, now_ms: int) -> LeaseBook | None:
        """The book with the lease in it; lodging the same request again renews it.

        None if the name is held for another request, or its lease is overdue.
        """
        held = self.leases.get(name)
        if held is not None and (
            held.expiring or held.request != request or now_ms >= held.deadline_ms
        ):
            return None
        return self._with(Lease(name=name, request=request, deadline_ms=now_ms + request.ttl_ms))

    def renew(self, name: str, *, now_ms: int, at: float) -> LeaseBook | None:
        """The book with a later deadline for ``name``; ``at`` is Unix seconds.

        None once it has expired; an expired lease cannot be renewed.
        """
        held = self.leases.get(name)
        if held is None or held.expiring or now_ms >= held.deadline_ms:
            return None
        return self._with(
            held.model_copy(
                update={
                    "deadline_ms": now_ms + held.request.ttl_ms,
                    "renewals": held.renewals + 1,
                    "renewed_at": at,
                }
            )
        )

    def release(self, name: str) -> LeaseBook | None:
        """The book without ``name``, whose owner has undone its fault itself.

        None if the owner does not hold it any more.
        """
        held = self.leases.get(name)
        return None if held is None or held.expiring else self.forget(name)

    def expire(self, *, now_ms: int) -> tuple[LeaseBook, tuple[Lease, ...]]:
        """The book with every overdue lease marked as expiring, and those newly marked."""
        overdue = tuple(
            lease.model_copy(update={"expiring": True})
            for lease in self.leases.values()
            if not lease.expiring and now_ms >= lease.deadline_ms
        )
        return LeaseBook(leases=self.leases | {lease.name: lease for lease in overdue}), overdue

    def forget(self, name: str) -> LeaseBook:
        """The book without ``name``: its undo is done."""
        return LeaseBook(leases={key: lease for key, lease in self.leases.items() if key != name})

    def next_deadline_ms(self) -> int | None:
        """When the next lease falls due; None if nothing is held."""
        return min(
            (lease.deadline_ms for lease in self.leases.values() if not lease.expiring),
            default=None,
        )

    def _with(self, lease: Lease) -> LeaseBook:
        return LeaseBook(leases=self.leases | {lease.name: lease})


def save(data_dir: Path, book: LeaseBook, *, durable: bool) -> None:
    """Replace the book in ``data_dir``.

    Args:
        data_dir: Folder of the file.
        book: Its new content.
        durable: Whether it must survive a power cut when this returns. Only a new undo must: what a
            process merely wrote survives the end of that process.

    Raises:
        DiskFullError: It cannot be written.
    """
    try:
        write_whole(data_dir / FILE, book.model_dump_json(by_alias=True), durable=durable)
    except WorldError as error:
        raise DiskFullError(
            f"cannot keep leases: {error}",
            remedy="free some space; no fault is applied without a lease",
        ) from error


def load(data_dir: Path) -> LeaseBook:
    """The book in ``data_dir``, empty if none was ever written.

    Raises:
        InternalError: The file is no book of leases.
    """
    path = data_dir / FILE
    try:
        return LeaseBook.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return LeaseBook()
    except ValidationError as error:
        raise InternalError(
            f"{path} is no book of leases: {error}",
            remedy="undo the faults that it names by hand, then remove it",
        ) from error
