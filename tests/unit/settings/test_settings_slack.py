"""Settings of Slack: what makes it listen, and what cannot be an id."""

from pathlib import Path

import pytest

from remediator.settings import Settings
from tests.unit.settings.reading import Load, mistakes_of

TOKEN = "token: xoxb-1"


@pytest.mark.parametrize(
    ("text", "interactive"),
    [
        ("{}", False),
        (f"{{{TOKEN}}}", False),
        (f"{{{TOKEN}, signing_secret: s3cr3t}}", True),
        (f"{{{TOKEN}, app_token: xapp-1}}", True),
    ],
)
def test_buttons_are_shown_where_somebody_listens(load: Load, text: str, interactive: bool) -> None:
    """A button that nobody hears would be worse than none."""
    assert interactive is load(f"slack: {text}\n").slack.interactive


def test_its_secrets_may_stand_in_files_and_are_never_shown(load: Load) -> None:
    """Whoever has the signing secret can approve anything."""
    Path("signing").write_text("s3cr3t-signing\n")
    Path("app").write_text("s3cr3t-app\n")
    settings: Settings = load(f"slack: {{{TOKEN}, signing_secret_file: signing, app_token_file: app}}\n")

    assert {"xoxb-1", "s3cr3t-signing", "s3cr3t-app"} == set(settings.secrets())
    assert "s3cr3t" not in repr(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{signing_secret: s3cr3t}", "signing_secret is of no use without `token`"),
        ("{app_token: s3cr3t}", "app_token is of no use without `token`"),
        (f"{{{TOKEN}, signing_secret: ''}}", "signing_secret: this secret is empty"),
        ("{team: C0123}", "this takes a workspace's id (T…)"),
        ("{team: acme}", "this takes a workspace's id (T…)"),
        ("{app: T0123}", "this takes an app's id (A…)"),
    ],
)
def test_what_cannot_be_is_refused_without_telling_secrets(load: Load, text: str, said: str) -> None:
    """A wrong id would refuse everything that Slack sends."""
    found = " ".join(mistakes_of(load, f"slack: {text}\n"))

    assert said in found
    assert "s3cr3t" not in found
