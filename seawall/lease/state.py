"""The book on disk: what one of the two lease processes leaves to the other when it dies."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from seawall.errors import DiskFullError, InternalError
from seawall.lease.book import LeaseBook

FILE = "leases.json"


def save(data_dir: Path, book: LeaseBook, *, durable: bool) -> None:
    """Replace the book in ``data_dir``; with ``durable`` it is on the disk when this returns.

    Raises :class:`DiskFullError`.

    A killed process loses nothing that was merely written; only a new undo has to outlast the
    machine.
    """
    part = data_dir / f"{FILE}.{os.getpid()}.part"
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(book.model_dump_json(by_alias=True))
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(data_dir / FILE)
        if durable:
            _sync_directory(data_dir)
    except OSError as error:
        message = f"cannot keep leases in {data_dir}: {error.strerror}"
        raise DiskFullError(
            message, remedy="free some space; no fault is applied without a lease"
        ) from error


def load(data_dir: Path) -> LeaseBook:
    """The book in ``data_dir``, empty if none was ever kept.

    Raises :class:`InternalError` if it is not one of ours.
    """
    try:
        text = (data_dir / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return LeaseBook()
    try:
        return LeaseBook.model_validate_json(text)
    except ValidationError as error:
        message = f"{data_dir / FILE} is no book of leases: {error}"
        raise InternalError(
            message, remedy="undo the faults that it names by hand, then remove it"
        ) from error


def _sync_directory(directory: Path) -> None:
    """A renamed file is durable only once its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
