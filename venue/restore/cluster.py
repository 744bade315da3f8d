"""A new database cluster from a base backup and the log that was streamed since.

The cluster is made beside the old one, never over it. Whoever starts the server on it lets it apply
the log to its last byte; it then begins a timeline of its own.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from seawall.errors import ServiceError, UsageError
from seawall.processes.failures import os_failure
from venue.backups.bucket import LAST, BackupBucket, BackupName
from venue.backups.stream import folder_of
from venue.restore.manifest import end_of, verify

_SIGNAL = "recovery.signal"
_SETTINGS = "postgresql.conf"
_ARCHIVE = "base.tar.gz"
# The receiver calls the file that it is writing .partial; it is as long as the others, and what is
# not received yet is zero. Whatever else the server asks for is not there, which ends the log.
_COMMAND = "cp {log}/%f %p 2>/dev/null || cp {log}/%f.partial %p"
_NO_LOG = "false"
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:\.partial)?")
"""Name of a file of the log: timeline, and the two halves of its number."""
_TIMELINE = re.compile(r"[0-9A-F]{8}")
_HALF = 1 << 32


async def make_cluster(
    files: Path, *, bucket: BackupBucket, log: Path | None, scratch: Path
) -> BackupName:
    """Make a cluster in ``files`` of the newest backup in ``bucket``; its name.

    The server that is started on it applies ``log`` to it first, and begins a timeline.

    Args:
        files: An empty folder, or one that is not there, for the cluster.
        bucket: Where the backups are.
        log: Folder of the stream, as `venue.backups.stream` was given it. None if that is lost as
            well: then what came after the backup is lost.
        scratch: Folder with room for the compressed backup.

    Raises :class:`UsageError` if ``files`` holds something or there is no backup,
    :class:`ServiceError` if the backup is not what its manifest says, or the log has a gap: the
    server would end at it and say nothing.
    """
    if files.exists() and any(files.iterdir()):
        raise UsageError(
            f"{files} is not empty", remedy="restore beside the old cluster, never over it"
        )
    backup = await asyncio.to_thread(bucket.newest)
    if backup is None:
        raise UsageError(f"there is no backup in {bucket.bucket}")
    await asyncio.to_thread(_unpack, backup, bucket, files, scratch)
    await asyncio.to_thread(verify, files, files / LAST)
    command = _NO_LOG if log is None else recovery_command(log, backup, files / LAST)
    try:
        with (files / _SETTINGS).open("a", encoding="utf-8") as settings:
            settings.write(f"restore_command = '{command.replace(chr(39), chr(39) * 2)}'\n")
        (files / _SIGNAL).touch()
    except OSError as error:
        raise os_failure(f"{files} cannot be prepared", error) from error
    return backup


def recovery_command(log: Path, backup: BackupName, manifest: Path) -> str:
    """How the server gets the log since ``backup``, whose ``manifest`` says where it ended.

    Raises :class:`UsageError` if there is none, :class:`ServiceError` for a gap, or for the log of
    a later timeline: a restored ledger was used, and never backed up, and all of that would be lost
    without a word.
    """
    streamed = folder_of(log, backup.timeline)
    try:
        later = later_timelines(log, backup.timeline)
        found = list(streamed.iterdir())
        size = max((path.stat().st_size for path in found), default=0)
    except OSError as error:
        raise UsageError(
            f"{streamed} cannot be read: {error.strerror}",
            remedy="name the folder of the stream, or say that it is lost",
        ) from error
    if later:
        raise ServiceError(
            f"{later[-1]} holds the log of a later timeline than that of the backup of"
            f" {backup.stamp}, so what was committed since would be lost",
            remedy="find a backup of that timeline; if nobody used that ledger, because that"
            " restore was given up, move its folder away",
        )
    end = end_of(manifest)
    gap = first_gap([path.name for path in found], end=end, segment_bytes=size)
    if gap is not None:
        raise ServiceError(
            f"{streamed} lacks {gap}, so the log since the backup of {backup.stamp} has a gap",
            remedy="find that file, or say that the log is lost and accept what is lost with it",
        )
    return _COMMAND.format(log=shlex.quote(str(streamed)).replace("%", "%%"))


def later_timelines(log: Path, timeline: int) -> list[Path]:
    """Folders below ``log`` that hold the log of a later timeline, in their order."""
    found = (path for path in log.iterdir() if _TIMELINE.fullmatch(path.name))
    return sorted(path for path in found if int(path.name, 16) > timeline and any(path.iterdir()))


def first_gap(names: Sequence[str], *, end: int, segment_bytes: int) -> str | None:
    """The first file that is missing from a log; None if it is whole.

    Args:
        names: The files of one timeline.
        end: Where the backup ended: the log must go on from there.
        segment_bytes: How long each file is.
    """
    numbers: set[int] = set()
    timeline = ""
    for name in names:
        number = segment_number(name, segment_bytes)
        if number is not None:
            timeline = name[: len("00000001")]
            numbers.add(number)
    if not numbers:
        return "every file"
    first = (end - 1) // segment_bytes
    for number in range(first, max(first, *numbers) + 1):
        if number not in numbers:
            high, low = divmod(number, _HALF // segment_bytes)
            return f"{timeline}{high:08X}{low:08X}"
    return None


def segment_number(name: str, segment_bytes: int) -> int | None:
    """Which file of a log ``name`` is, counted from its beginning; None if it is none of it."""
    match = _SEGMENT.fullmatch(name)
    if match is None or not segment_bytes:
        return None
    return int(match[2], 16) * (_HALF // segment_bytes) + int(match[3], 16)


def _unpack(backup: BackupName, bucket: BackupBucket, files: Path, scratch: Path) -> None:
    archive = scratch / f"restore-{backup.stamp}.tar.gz"
    try:
        files.mkdir(mode=0o700, parents=True, exist_ok=True)
        bucket.get(backup, _ARCHIVE, archive)
        with tarfile.open(archive) as packed:
            packed.extractall(files, filter="data")
        bucket.get(backup, LAST, files / LAST)
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise ServiceError(f"the backup of {backup.stamp} cannot be unpacked: {error}") from error
    except OSError as error:
        raise os_failure(f"the backup of {backup.stamp} cannot be unpacked", error) from error
    finally:
        archive.unlink(missing_ok=True)
