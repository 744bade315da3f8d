"""Removes the files of the stream that nobody would restore from any more.

The bucket removes old backups by itself when their lock ends. The log lies on the receiver's disk,
and without its files an old backup is restored as of its own end only. So the newest backups keep
theirs: more than one, because a backup may turn out to be broken when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seawall.errors import ServiceError
from seawall.processes.failures import os_failure
from venue.backups.bucket import LAST, BackupBucket, BackupName
from venue.backups.stream import folder_of
from venue.restore.cluster import first_gap, segment_number
from venue.restore.manifest import end_of, start_of

KEPT = 2
"""Of the newest backups, how many keep the log since they began."""


def prune(
    log: Path, *, bucket: BackupBucket, scratch: Path, backups: int = KEPT, dry_run: bool = False
) -> list[Path]:
    """Remove what is older than the log of the newest ``backups``; the files, oldest first.

    With fewer backups than that nothing is removed.

    Args:
        log: Folder of the stream, as `venue.backups.stream` was given it.
        bucket: Where the backups are.
        scratch: A folder for their manifests.
        backups: How many keep their log, at least one.
        dry_run: Only say which files.

    Raises :class:`ServiceError`, and removes nothing, unless the log is whole from the end of each
    of those backups on: one that is not could not be restored with it, and whoever could put a
    false one into the bucket could have the log removed.
    """
    newest = bucket.whole()[-backups:]
    if len(newest) < backups:
        return []
    needed = [_needed(log, name, bucket, scratch) for name in newest]
    oldest, first = newest[0].timeline, needed[0]
    old = [*_of_timelines(log, before=oldest)]
    folder = folder_of(log, oldest)
    size = _size(folder)
    old += [
        path
        for path in sorted(folder.iterdir())
        if (number := segment_number(path.name, size)) is not None and number < first // size
    ]
    if not dry_run:
        _remove(old)
    return old


def _needed(log: Path, name: BackupName, bucket: BackupBucket, scratch: Path) -> int:
    """Where the log of a backup begins. Raises :class:`ServiceError` if it is not whole since."""
    manifest = scratch / f"{name.timeline:08X}-{name.stamp}"
    bucket.get(name, LAST, manifest)
    folder = folder_of(log, name.timeline)
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        names = []
    gap = first_gap(names, end=end_of(manifest), segment_bytes=_size(folder) if names else 0)
    if gap is not None:
        raise ServiceError(
            f"{folder} lacks {gap}, which the backup of {name.stamp} needs; nothing is removed",
            remedy="find out which is wrong: the log is of another server, has a gap, or the bucket"
            " holds what is no backup of this ledger",
        )
    return start_of(manifest)


def _size(folder: Path) -> int:
    return max((path.stat().st_size for path in folder.iterdir()), default=0)


def _of_timelines(log: Path, *, before: int) -> Iterator[Path]:
    """Every file of the log of an earlier timeline."""
    for timeline in range(1, before):
        folder = folder_of(log, timeline)
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.is_file())


def _remove(files: list[Path]) -> None:
    try:
        for path in files:
            path.unlink()
        for folder in {path.parent for path in files}:
            if not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise os_failure("an old file of the log cannot be removed", error) from error
