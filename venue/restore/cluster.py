"""A new database cluster from a base backup and the log that was streamed since.

The cluster is made beside the old one, never over it. Whoever starts the server on it lets it apply
the log to its last byte; it then begins a timeline of its own.
"""

from __future__ import annotations

import asyncio
import shlex
import tarfile
from pathlib import Path

from seawall.errors import ServiceError, UsageError
from seawall.processes.failures import os_failure
from venue.backups.bucket import LAST, BackupBucket, BackupName
from venue.backups.programs import program, run_program
from venue.backups.stream import folder_of

_SIGNAL = "recovery.signal"
_SETTINGS = "postgresql.conf"
_ARCHIVE = "base.tar.gz"
# The receiver calls the file that it is writing .partial; it is as long as the others, and what is
# not received yet is zero. Whatever else the server asks for is not there, which ends the log.
_COMMAND = "cp {log}/%f %p 2>/dev/null || cp {log}/%f.partial %p"


async def make_cluster(
    files: Path, *, programs: Path, bucket: BackupBucket, log: Path, scratch: Path
) -> BackupName:
    """Make a cluster in ``files`` of the newest backup in ``bucket``; its name.

    The server that is started on it applies ``log`` to it first.

    Args:
        files: An empty folder, or one that is not there, for the cluster.
        programs: Folder of PostgreSQL's programs.
        bucket: Where the backups are.
        log: Folder of the stream, as `venue.backups.stream` was given it.
        scratch: Folder with room for the compressed backup.

    Raises :class:`UsageError` if ``files`` holds something or there is no backup,
    :class:`ServiceError` if the backup is not what its manifest says.
    """
    if files.exists() and any(files.iterdir()):
        raise UsageError(
            f"{files} is not empty", remedy="restore beside the old cluster, never over it"
        )
    backup = await asyncio.to_thread(bucket.newest)
    if backup is None:
        raise UsageError(f"there is no backup in {bucket.bucket}")
    streamed = folder_of(log, backup.timeline)
    if not streamed.is_dir():
        raise UsageError(
            f"{streamed} is not there, so nothing after the backup of {backup.stamp} is known",
            remedy="name the folder of the stream",
        )
    await asyncio.to_thread(_unpack, backup, bucket, files, scratch)
    await run_program(
        (program(programs, "pg_verifybackup"), "--exit-on-error", files),
        what_fails=f"the backup of {backup.stamp} is damaged",
    )
    command = _COMMAND.format(log=shlex.quote(str(streamed)).replace("%", "%%"))
    try:
        with (files / _SETTINGS).open("a", encoding="utf-8") as settings:
            settings.write(f"restore_command = '{command.replace(chr(39), chr(39) * 2)}'\n")
        (files / _SIGNAL).touch()
    except OSError as error:
        raise os_failure(f"{files} cannot be prepared", error) from error
    return backup


def _unpack(backup: BackupName, bucket: BackupBucket, files: Path, scratch: Path) -> None:
    archive = scratch / f"restore-{backup.stamp}.tar.gz"
    try:
        files.mkdir(mode=0o700, parents=True, exist_ok=True)
        bucket.get(backup, _ARCHIVE, archive)
        with tarfile.open(archive) as packed:
            packed.extractall(files, filter="data")
        bucket.get(backup, LAST, files / LAST)
    except tarfile.TarError as error:
        raise ServiceError(f"the backup of {backup.stamp} cannot be unpacked: {error}") from error
    except OSError as error:
        raise os_failure(f"the backup of {backup.stamp} cannot be unpacked", error) from error
    finally:
        archive.unlink(missing_ok=True)
