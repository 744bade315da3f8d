"""The account of the emulated AWS: its number, the access key of its root user, a handle of it.

The emulator accepts this key and the sandbox's set-up signs with it. It opens nothing but a server
on this machine's loopback that holds play money, so it is a constant and needs no file.
"""

from __future__ import annotations

ACCOUNT_ID = "123456789012"
ROOT_ACCESS_KEY_ID = "AKIASEAWALLSANDBOX00"
ROOT_SECRET_ACCESS_KEY = "seawall-sandbox-root"  # noqa: S105 - see above
KMS_CROWDING_PATH = "/seawall/kms-crowding"
"""Where another tenant is let into a Region's KMS, by the Region's name below it."""
