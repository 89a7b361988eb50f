"""Settings of the levels of escalation: what leads nowhere is a mistake, and secrets are never shown."""

from pathlib import Path

import pytest

from remediator.errors import BadSettings
from remediator.model.message import Mention
from remediator.settings import Settings, load_settings


def load(level: str, name: str = "on-call") -> Settings:
    Path("remediator.yaml").write_text(f"escalation: {{{name}: {level}}}\n")
    return load_settings()


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("S0123ABC", Mention("usergroup", "S0123ABC")),
        ("U0123ABC", Mention("user", "U0123ABC")),
        ("W0123ABC", Mention("user", "W0123ABC")),
        ("'@here'", Mention("broadcast", "here")),
        ("channel", Mention("broadcast", "channel")),
    ],
)
def test_who_is_pinged_is_typed(text: str, mention: Mention) -> None:
    """What a chat is handed is an element of its own, and no text."""
    assert mention == load(f"{{channel: '#c', mention: {text}}}").escalation["on-call"].pinged


def test_the_address_and_the_secret_are_secrets_and_may_stand_in_files() -> None:
    """An address of a webhook is often all that is needed to use it."""
    Path("hook").write_text("https://pager.example/s3cr3t-path\n")
    Path("token").write_text("Bearer s3cr3t-token\n")
    settings = load("{webhook_file: hook, secret_file: token}")

    assert {"https://pager.example/s3cr3t-path", "Bearer s3cr3t-token"} == set(settings.secrets())
    assert "s3cr3t" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("{}", "this one tells nobody"),
        ("{mention: S0123ABC}", "this one tells nobody"),
        ("{webhook: 'http://a/b', mention: S0123ABC}", "this level has none"),
        ("{channel: '#c', secret: x}", "`secret` is for a `webhook`, and this level has none"),
        ("{channel: '#c', mention: '<!channel>'}", "the id of a user group"),
        ("{channel: '#c', mention: 'S0123\\n<!channel>'}", "the id of a user group"),
        ("{channel: '#c', mention: '@nobody'}", "the id of a user group"),
        ("{webhook: 'pager.example/s3cr3t'}", "write the address with http:// or https://"),
        ("{webhook: 'file:///etc/s3cr3t'}", "write the address with http:// or https://"),
        ("{webhook: 'http://a/b', secret: 's3cr3t', header: Host}", "cannot be the header of a secret"),
        ("{webhook: 'http://a/b', secret: 's3cr3t', header: 'a b'}", "cannot be the header of a secret"),
        ('{webhook: "http://a/b", secret: "s3cr3t\\r\\nX: y"}', "the secret cannot stand in a header"),
        ("{chanel: '#c'}", "did you mean `channel`?"),
    ],
)
def test_what_cannot_be_is_refused_without_telling_secrets(level: str, said: str) -> None:
    """A level that tells nobody would be noticed in the night that it is needed."""
    with pytest.raises(BadSettings) as caught:
        load(level)

    assert said in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("name", ["On-Call", "-x", "a.b", "a b", "x" * 64])
def test_a_level_is_named_as_rules_can_name_it(name: str) -> None:
    """Else no rule could lead there."""
    with pytest.raises(BadSettings, match="is not a level's name"):
        load("{channel: '#c'}", f"'{name}'")
