"""Who holds which undo until when: the pure core of leases.

A book is a value: every operation returns a new one, so that it can be written to disk before it
becomes true. Times are integer milliseconds of a monotonic clock that is shared by all processes of
the machine.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LeaseName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UndoCall(_Value):
    """One idempotent HTTP call that takes a fault back.

    Done when it is answered with 2xx or 404 (nothing to undo).
    """

    method: Literal["DELETE", "POST", "PUT", "PATCH"]
    url: str = Field(pattern=r"^https?://")
    json_body: Any = Field(default=None, alias="json")


class LeaseRequest(_Value):
    """What an owner lodges: how to undo its fault, and how long it may be silent (milliseconds)."""

    ttl_ms: int = Field(gt=0)
    undo: tuple[UndoCall, ...]


class Lease(_Value):
    """An undo in force; ``expiring`` once its owner has been silent for too long and the undo is
    under way.
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
        """The book with the lease in it; lodging the same again renews it.

        None if the name is taken for something else.
        """
        held = self.leases.get(name)
        if held is not None and (
            held.expiring or held.request != request or now_ms >= held.deadline_ms
        ):
            return None
        return self._with(Lease(name=name, request=request, deadline_ms=now_ms + request.ttl_ms))

    def renew(self, name: str, *, now_ms: int, at: float) -> LeaseBook | None:
        """The book with a later deadline for ``name``; ``at`` is Unix seconds.

        None once it has expired: nothing brings it back.
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

        None if the owner no longer holds it.
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
