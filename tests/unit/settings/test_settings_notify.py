"""Settings of other places that hear of runs: what leads nowhere is a mistake, and no part of an address is shown."""

from pathlib import Path

import pytest

from remediator.errors import BadSettings
from remediator.kit.redaction import Redactor
from remediator.settings import Settings, load_settings

SECRET = "0123456789abcdef"


def load(place: str, name: str = "team-mail") -> Settings:
    Path("remediator.yaml").write_text(f"notify: {{{name}: {place}}}\n")
    return load_settings()


def test_addresses_and_secrets_may_stand_in_files_and_are_never_shown() -> None:
    """An address of a mailbox or a chat is all that is needed to write there."""
    Path("url").write_text("mailto://robot:s3cr3t-w0rd@mail.example?to=team@mail.example\n")
    Path("hook").write_text("https://board.example/s3cr3t-p4th\n")
    Path("key").write_text(f"s3cr3t-{SECRET}\n")
    Path("remediator.yaml").write_text(
        "notify: {mail: {url_file: url}, board: {webhook_file: hook, secret_file: key, events: [ended]}}\n"
        "public_url: https://remediator.example/\n"
    )
    settings = load_settings()

    assert ("asked", "ended") == settings.notify["mail"].events
    assert "s3cr3t" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("url", "part", "stays"),
    [
        ("mailto://robot:w0rd-of-mine@mail.example?to=a@b.example", "w0rd-of-mine", "mail.example robot"),
        ("mailto://mail.example?user=robot&pass=plainword&to=a@b.example", "plainword", "robot"),
        ("discord://123456789012345678/AbCdEfGh1jKlMnOpQrStUvWxYz", "AbCdEfGh1jKlMnOpQrStUvWxYz", "discord"),
        ("tgram://123456789:ABCdef-GHIjkl_mno123/-100123", "ABCdef-GHIjkl_mno123", "tgram"),
        ("mmost://127.0.0.1:8065/abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz", "127.0.0.1 8065"),
        ("json://localhost:8080/alerts/remediator", "json://localhost:8080/alerts/remediator", "localhost remediator"),
    ],
)
def test_what_of_an_address_is_a_secret_by_itself(url: str, part: str, stays: str) -> None:
    """A service's own error quotes a token without the rest; a host or a plain word must not vanish from all texts."""
    redactor = Redactor(load(f"{{url: '{url}'}}").secrets())

    assert "it said [redacted] twice" == redactor.text(f"it said {part} twice")
    assert stays == redactor.text(stays)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("{}", "give one of the two"),
        (f"{{url: 'json://a/s3cr3t', webhook: 'http://a/b', secret: {SECRET}}}", "give one of the two"),
        ("{webhook: 'http://a/s3cr3t'}", "a `webhook` is signed"),
        ("{webhook: 'http://a/s3cr3t', secret: s3cr3t}", "the secret is too short"),
        (f"{{url: 'json://a/s3cr3t', secret: {SECRET}}}", "`secret` signs a `webhook`"),
        ("{url: 's3cr3t'}", "as apprise takes it"),
        ("{url: 'json://a b/s3cr3t'}", "as apprise takes it"),
        (f"{{webhook: 'board/s3cr3t', secret: {SECRET}}}", "write the address with http:// or https://"),
        ("{url: 'json://a/s3cr3t', events: []}", "it needs 1 at the least"),
        ("{url: 'json://a/s3cr3t', events: [begun]}", "'asked', 'reminded'"),
        ("{url: 'json://a/s3cr3t', timeout: 2m}", "30s at the most"),
    ],
)
def test_what_cannot_be_is_refused_without_telling_secrets(place: str, said: str) -> None:
    """A mistake in a settings file is shown in logs and on screens."""
    with pytest.raises(BadSettings) as caught:
        load(place)

    assert said in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_place_has_a_plain_name() -> None:
    """It is a part of the name of its channel."""
    with pytest.raises(BadSettings, match="is not a place's name"):
        load("{url: 'json://a/b'}", name="'Team Mail'")
