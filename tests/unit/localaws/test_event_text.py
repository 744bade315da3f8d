"""The text that a target of EventBridge gets when its input is transformed."""

from __future__ import annotations

import json

import pytest

from localaws.emulator.services.eventbridge import filled

VALUES = {"who": 'alice "the key"', "keys": ["a", "b"], "none": None, "count": 3}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('"<who> did it"', '"alice \\"the key\\" did it"'),
        (
            '{"who": <who>, "keys": <keys>, "count": <count>}',
            '{"who": "alice \\"the key\\"", "keys": ["a", "b"], "count": 3}',
        ),
        ('{"text": "<count> of <keys>"}', '{"text": "3 of [\\"a\\", \\"b\\"]"}'),
        ('{"text": "<none>", "bare": <none>}', '{"text": "", "bare": ""}'),
        ('"<unheard-of>"', '"<unheard-of>"'),
    ],
)
def test_variables_become_json_or_text(template: str, text: str) -> None:
    assert filled(template, VALUES) == text
    json.loads(text)
