"""Runs the emulated AWS as a process, for tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config

from seawall.conventions.local_aws import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY

ROOT_KEY = {
    "AWS_ACCESS_KEY_ID": ROOT_ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": ROOT_SECRET_ACCESS_KEY,
}
PRIMARY, STANDBY = "us-east-1", "us-west-2"


@contextmanager
def running_aws(*options: str) -> Iterator[str]:
    """Run the emulator with ``options``; gives its endpoint."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "localaws.emulator", "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert process.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def client(service: str, endpoint: str, who: dict[str, str], *, region: str = PRIMARY) -> Any:
    """Return a client of ``service``; ``who`` has the credentials as environment variables."""
    session: Any = boto3.Session(
        aws_access_key_id=who["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=who["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=who.get("AWS_SESSION_TOKEN"),
    )
    return session.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        config=Config(retries={"total_max_attempts": 1}),
    )
