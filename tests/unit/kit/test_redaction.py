"""Secrets do not get into what is stored, logged or told, and hostile text does not stop the process."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.kit.redaction import MASK, Redactor, shorten, shorten_start

S = "Hunter2Hunter2"
LINE = S + "K" * 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"password={S}", "password=[redacted]"),
        (f"password = {S}, next", "password = [redacted], next"),
        (f"PGPASSWORD={S} psql", "PGPASSWORD=[redacted] psql"),
        (f"db.password: {S}", "db.password: [redacted]"),
        (f"pwd={S}", "pwd=[redacted]"),
        (f'{{"api_key": "{S} and more", "user": "x"}}', '{"api_key": [redacted], "user": "x"}'),
        (f"{{'token': '{S}'}}", "{'token': [redacted]}"),
        (rf"{{\"token\": \"{S}\", \"a\": 1}}", None),
        (rf'secret="a\"{S}"', "secret=[redacted]"),
        (f'password="cut off {S}', "password=[redacted]"),
        (f"msg=password={S}", "msg=password=[redacted]"),
        (f"?user=x&access_token={S}&page=2", "?user=x&access_token=[redacted]&page=2"),
        (f"mysql --password {S} --host db", "mysql --password [redacted] --host db"),
        (f"X-Api-Key: {S}\nHost: x", "X-Api-Key: [redacted]\nHost: x"),
        (f"Authorization: Bearer {S}", "Authorization: Bearer [redacted]"),
        (f"authorization: {S}", "authorization: [redacted]"),
        (f"Authorization:{S}", "Authorization:[redacted]"),
        (f'{{"Authorization": "{S}"}}', '{"Authorization": [redacted]}'),
        (f'{{"Authorization": "Basic {S}="}}', None),
        (f"curl -H 'Proxy-Authorization: Basic {S}=' http://x", None),
        (f"Cookie: a=1; session={S}\nHost: x", "Cookie: [redacted]\nHost: x"),
        (f"sent bearer {S}", "sent bearer [redacted]"),
        (f"postgres://user:{S}@db/x", "postgres://[redacted]@db/x"),
        (f"amqp://user:p@{S}@mq:5672/", "amqp://[redacted]@mq:5672/"),
        (f"https://{S}@git.example/x", "https://[redacted]@git.example/x"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{S}\n-----END RSA PRIVATE KEY-----\nnext", "[redacted]\nnext"),
        (f"-----BEGIN PRIVATE KEY-----\n{S}", "[redacted]"),
        (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{S}\n-----END PGP PRIVATE KEY BLOCK-----", "[redacted]"),
        (f"{S}\n{LINE}\n{LINE}\nab=\n-----END RSA PRIVATE KEY-----\nnext", "[redacted]\nnext"),
        (f"said this\nkey: {LINE}\r\n{LINE}\r\nab=\r\n-----END PRIVATE KEY-----", "said this\nkey: [redacted]"),
        (f"12:00 x {LINE}\n12:00 x {LINE}\n12:00 x -----END PRIVATE KEY-----", None),
        (rf'{{"k": "{LINE}\n{LINE}\n-----END PRIVATE KEY-----\n"}}', r'{"k": "[redacted]\n"}'),
        (f"xoxb-{S}", "[redacted]"),
        (f"env_ghp_{S}", "env_[redacted]"),
        (f"(AKIA{S})", "([redacted])"),
        (f"found rmd_0123456789ab_{S} in a paste", "found [redacted] in a paste"),
        (f"eyJ{S}.eyJ{S}.{S}", "[redacted]"),
    ],
)
def test_the_shapes_of_secrets_are_masked(text: str, expected: str | None) -> None:
    """These stand in logs, command lines, headers and error texts, and nobody configured them here."""
    redacted = Redactor().text(text)

    assert S not in redacted
    assert expected in (None, redacted)


NAMES = (
    *("passwd", "password", "passphrase", "secret", "token", "apikey", "api_key", "access-key", "accesskey"),
    *("private_key", "credential", "cookie", "pwd", "dsn", "authorization", "proxy-authorization"),
    *("\u017fecret", "to\u212aen"),  # a long s and the sign of Kelvin, which are `s` and `k` where case is ignored
)
PREFIXES = (
    *("xoxb-", "xoxe-", "xapp-", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "sk-"),
    *("AKIA", "ASIA", "Bearer ", "BEARER "),
)


@pytest.mark.parametrize(
    "text",
    [
        *(f"{form}={S}" for name in NAMES for form in (name, name.upper(), name.title())),
        *(f"{prefix}{S}" for prefix in PREFIXES),
    ],
)
def test_a_single_sign_of_a_secret_is_enough(text: str) -> None:
    """A text without any sign is not looked into, so each sign has to be known by itself, in any case."""
    assert S not in Redactor().text(text)


@pytest.mark.parametrize(
    "text",
    [
        "nothing to hide",
        "the token was refused",
        "passwordless login",
        "https://git.example/@user/x",
        "user@example.com",
        "12:30 done",
        "a=b, c: d",
        "docker:local/web@4f5e",
        "task-skip",
        "author: me",
        "authorization of users",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """What is masked without need is missing from a diagnosis."""
    assert text == Redactor().text(text)


@pytest.mark.parametrize("text", ["it is s3cr/et&1 here", "?x=s3cr%2Fet%261", r'"s3cr/et&1"'])
def test_a_configured_secret_is_masked_in_every_form(text: str) -> None:
    """Also where it has no shape at all."""
    redacted = Redactor(["s3cr/et&1"]).text(text)

    assert MASK in redacted
    assert "s3cr" not in redacted


def test_a_configured_secret_is_masked_in_json() -> None:
    """JSON writes quotes and new lines in another way."""
    assert f'{{"a": "{MASK}"}}' == Redactor(['qu"ote\nline']).text(r'{"a": "qu\"ote\nline"}')


def test_the_longer_of_two_secrets_is_masked_first() -> None:
    """Otherwise the rest of the longer one would stay."""
    assert MASK == Redactor(["abcd", "abcdefgh"]).text("abcdefgh")


def test_a_very_short_secret_does_not_blank_out_words() -> None:
    """A log with every `a` masked is of no use."""
    assert "a banana" == Redactor(["a", ""]).text("a banana")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"password": S}, {"password": MASK}),
        ({"auth": {"Api-Key": [S, {"x": S}]}}, {"auth": {"Api-Key": [MASK, {"x": MASK}]}}),
        ({"env": [f"TOKEN={S}"]}, {"env": [f"TOKEN={MASK}"]}),
        ({"tokens_used": 5, "secret": None, "token": ""}, {"tokens_used": 5, "secret": None, "token": ""}),
        ({f"xoxb-{S}": 1}, {MASK: 1}),
        ((1, True, 2.5, "x"), [1, True, 2.5, "x"]),
        ({"error": ValueError(f"password={S}")}, {"error": f"ValueError('password={MASK}')"}),
        (b"raw", b"raw"),
        (
            ["a", "b -----BEGIN PRIVATE KEY-----", LINE, "", LINE, "-----END PRIVATE KEY----- c", "d"],
            ["a", f"b {MASK}", MASK, "", MASK, f"{MASK} c", "d"],
        ),
        ((LINE, LINE, "-----END PRIVATE KEY-----", "next"), [MASK, MASK, MASK, "next"]),
        (["-----BEGIN PRIVATE KEY-----", LINE], [MASK, MASK]),
    ],
)
def test_values_are_redacted_in_depth(value: Any, expected: Any) -> None:
    """A key names the secret that its text is; numbers keep their type, for expressions use them."""
    assert expected == Redactor().value(value)


def test_a_configured_secret_of_several_lines_is_masked_in_each() -> None:
    """Logs are lists of lines."""
    redactor = Redactor([f"first {S}\nsecond {S}", "other"])

    assert ["x", f"y {MASK}", f"{MASK} z", MASK] == redactor.value(["x", f"y first {S}", f"second {S} z", "other"])


@pytest.mark.parametrize("before", range(0, 40, 7))
@pytest.mark.parametrize("between", ["\n", " "])
def test_no_cut_leaves_a_part_of_a_secret(before: int, between: str) -> None:
    """A long text is cut before it is redacted, and such a cut may go through a secret."""
    text = "p" * before + between.join([f"password={S}"] * 1000)
    redactor = Redactor([S])

    for limit in (40, 41, 50, 500):
        assert "Hunter" not in redactor.start(text, limit)
        assert "unter" not in redactor.end(text, limit)
        assert limit >= len(redactor.start(text, limit))
        assert limit >= len(redactor.end(text, limit))


def test_the_end_of_a_long_text_says_what_is_missing() -> None:
    """Who reads the newest lines should know that there are others, and how much."""
    text = "".join(f"line {number}\n" for number in range(10_000, 20_000))

    kept = Redactor().end(text, 80)

    assert f"… ({len(text) - 33} more characters before this)\nline 19997\nline 19998\nline 19999\n" == kept
    assert Redactor().start(text, 40).startswith("line 10000\n")
    assert Redactor().start(text, 40).endswith(" more)")


@pytest.mark.parametrize("rest", ["", " and more" * 100], ids=["short", "long"])
def test_what_was_seen_before_is_masked_again_and_by_its_own_secrets(rest: str) -> None:
    """Short texts are remembered as they were redacted; one that knows other secrets must not go by that."""
    text = f"s3cret-of-one and s3cret-of-two, password={S}{rest}"
    one, two = Redactor(["s3cret-of-one"]), Redactor(["s3cret-of-two"])

    said = [one.text(text), two.text(text), one.text(text), two.text(text)]

    of_one = f"{MASK} and s3cret-of-two, password={MASK}{rest}"
    of_two = f"s3cret-of-one and {MASK}, password={MASK}{rest}"
    assert [of_one, of_two, of_one, of_two] == said


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 5, "short"),
        ("x" * 100, 50, "… (86 more characters before this)\n" + "x" * 14),
        ("old\n" * 20 + "news\nnewest", 50, "… (76 more characters before this)\nold\nnews\nnewest"),
        ("x" * 100, 5, "… (10"),
    ],
)
def test_a_text_is_shortened_at_its_start(text: str, limit: int, expected: str) -> None:
    """From the start of a line, where there is one."""
    assert expected == shorten_start(text, limit)


def test_a_bottomless_value_is_cut() -> None:
    """An answer from outside may be nested to bring the process down."""
    value: Any = S
    for _ in range(900):
        value = {"a": [value]}

    assert S not in str(Redactor().value(value))


LONG = 200_000
HOSTILE = [
    "a" * LONG,
    "a." * LONG,
    "token" * (LONG // 5),
    "token-" * (LONG // 6),
    "token " * (LONG // 6),
    "--token " * (LONG // 8),
    "token=" * (LONG // 6),
    'token="' * (LONG // 7),
    'token="' + "\\" * LONG,
    "token" + " " * LONG,
    "token=" + " " * LONG,
    "authorization:" + " " * LONG,
    "authorization: bearer " * (LONG // 22),
    "bearer" + " " * LONG,
    "bearer " * (LONG // 7),
    "-----BEGIN " * (LONG // 11),
    "-----BEGIN " + "A" * LONG,
    "-----BEGIN PRIVATE KEY-----" * (LONG // 27),
    "-----BEGIN PRIVATE KEY-----" + "-----END " * (LONG // 9),
    "a://" * (LONG // 4),
    "a+" * LONG,
    "://" + "a" * LONG,
    "http://" + "a:" * LONG,
    "-----END PRIVATE KEY-----" * (LONG // 25),
    "-----END PRIVATE KEY-----\n" * (LONG // 26),
    "a\n" * LONG + "-----END PRIVATE KEY-----",
    ("K" * 30 + "\n") * (LONG // 31) + "-----END PRIVATE KEY-----" * (LONG // 25),
    "eyJaaaaaaaa-" * (LONG // 12),
    "eyJaaaaaaaa." * (LONG // 12),
    "sk-" * (LONG // 3),
    "'" * LONG,
    "\\" * LONG,
    " " * LONG,
    "\n" * LONG,
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:24]))
def test_no_text_takes_for_ever(text: str) -> None:
    """A pattern that goes back and forth would need minutes for these, and everything else would wait."""
    assert len(Redactor(["s3cret"]).text(text)) <= 3 * len(text)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([*"\\\"'=: \n&,;-.@/", "password", "token", "--token", "bearer", "https://", "eyJ", "x"])
        | st.text(max_size=5),
        max_size=30,
    ).map("".join)
)
def test_redacting_twice_changes_nothing(text: str) -> None:
    """What is stored redacted is redacted again when it is logged."""
    once = Redactor().text(text)

    assert once == Redactor().text(once)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 5, "short"),
        ("x" * 100, 20, "x" * 8 + "… (92 more)"),
        ("x" * 100, 5, "… (10"),
        ("x", 0, ""),
    ],
)
def test_a_text_is_shortened_and_says_by_how_much(text: str, limit: int, expected: str) -> None:
    """The number is the number of characters that are missing."""
    assert expected == shorten(text, limit)


@pytest.mark.timeout(60)
def test_no_list_of_lines_takes_for_ever() -> None:
    """Neither many lines in one secret nor many secrets."""
    lines = ["s3cret", "-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----", *["s3cret"] * 8] * 10_000

    assert len(lines) == len(Redactor(["s3cret"]).value(lines))
