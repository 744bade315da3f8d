"""The offline kit: what people need when nothing else answers, in both regions, readable by one
role alone.

``contents`` says what is in it, ``kit`` keeps it.
"""

from infra.kit.contents import contents_of
from infra.kit.kit import Kit, KitArgs

__all__ = ["Kit", "KitArgs", "contents_of"]
