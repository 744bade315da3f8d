"""The locked bucket of the stack, as far as backups need it.

A backup is a folder of objects, ``ledger/<timeline>/<time>/<file>``; both parts of the name sort as
they follow each other. The file :data:`LAST` is written last: a folder without it is no backup.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from seawall.errors import ServiceError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "ledger/"
LAST = "backup_manifest"
_PARTS_FROM_BYTES = 64 * 1024 * 1024
_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3})


@dataclass(frozen=True, kw_only=True)
class BackupName:
    """Which backup: the server's timeline, and when it was begun (``20260102T030405Z``)."""

    timeline: int
    stamp: str

    @property
    def folder(self) -> str:
        """Where its objects are."""
        return f"{PREFIX}{self.timeline:08X}/{self.stamp}/"


@dataclass(frozen=True, kw_only=True)
class BackupBucket:
    """Backups in ``bucket``. All methods raise :class:`ServiceError` if it cannot be used."""

    client: S3Client
    bucket: str

    @classmethod
    def open(cls, bucket: str, *, region: str, endpoint: str | None) -> BackupBucket:
        """With the credentials of the environment; ``endpoint`` is None for AWS's own."""
        client = boto3.client("s3", region_name=region, endpoint_url=endpoint, config=_CONFIG)
        return cls(client=client, bucket=bucket)

    def put(self, name: BackupName, files: Path) -> None:
        """Keep every file in the folder ``files`` as the backup ``name``."""
        paths = sorted(files.iterdir(), key=lambda path: (path.name == LAST, path.name))
        with self._used("keep a backup"):
            for path in paths:
                self.client.upload_file(
                    str(path),
                    self.bucket,
                    name.folder + path.name,
                    Config=TransferConfig(multipart_threshold=_PARTS_FROM_BYTES),
                )

    def newest(self) -> BackupName | None:
        """The newest whole backup; None if there is none."""
        return next(reversed(self.whole()), None)

    def whole(self) -> list[BackupName]:
        """Every whole backup, the newest last."""
        found = []
        with self._used("list backups"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=PREFIX
            )
            for page in pages:
                for each in page.get("Contents", []):
                    match each["Key"].removeprefix(PREFIX).split("/"):
                        case [timeline, stamp, file] if file == LAST:
                            found.append((int(timeline, 16), stamp))
        return [BackupName(timeline=timeline, stamp=stamp) for timeline, stamp in sorted(found)]

    def get(self, name: BackupName, file: str, into: Path) -> None:
        """Write one file of the backup ``name`` to ``into``."""
        with self._used(f"read {file} of a backup"):
            self.client.download_file(self.bucket, name.folder + file, str(into))

    @contextmanager
    def _used(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError, OSError) as error:
            raise ServiceError(f"the bucket {self.bucket} could not {what}: {error}") from error
