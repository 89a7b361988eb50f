"""A webhook's body is read strictly where it could be misunderstood, tolerantly where it is merely unknown."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.errors import BadPayload
from remediator.model.alert import Alert, AlertStatus, Delivery, fingerprint_of
from remediator.web.webhook import parse_delivery

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
PAYLOADS = sorted((Path(__file__).parents[2] / "payloads").glob("*.json"))


def parse(body: bytes | str | dict[str, Any]) -> Delivery:
    if isinstance(body, dict):
        body = json.dumps(body)
    return parse_delivery(body.encode() if isinstance(body, str) else body, received_at=NOW)


def alert_of(**fields: Any) -> Alert:
    """The alert that a body with these fields says; a field of `...` is left out."""
    item = {"status": "firing", "labels": {"alertname": "Down"}, "startsAt": "2026-01-31T11:00:00Z"} | fields
    (alert,) = parse({"alerts": [{name: value for name, value in item.items() if value is not ...}]}).alerts
    return alert


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_every_kept_payload_is_read(path: Path) -> None:
    """Bodies of the real Alertmanager, of newer versions and of Grafana."""
    sent = json.loads(path.read_bytes())
    delivery = parse(path.read_bytes())

    assert [a["labels"] for a in sent["alerts"]] == [a.labels for a in delivery.alerts]
    assert [a["fingerprint"] for a in sent["alerts"]] == [a.fingerprint.split("-")[0] for a in delivery.alerts]
    assert [a["status"] for a in sent["alerts"]] == [a.status for a in delivery.alerts]
    assert sent["truncatedAlerts"] == delivery.truncated
    assert sent["groupLabels"] == delivery.group_labels
    assert (sent["groupKey"], sent["externalURL"]) == (delivery.group_key, delivery.external_url)


def test_payloads_of_every_kind_are_kept() -> None:
    """An empty folder would make the test above pass without a case."""
    kinds = {
        "recorded-0.25-mixed",
        "recorded-0.25-odd-labels",
        "constructed-grafana",
        "constructed-truncated",
    }

    assert kinds <= {path.stem for path in PAYLOADS}


@pytest.mark.parametrize(
    "path",
    [p for p in PAYLOADS if "grafana" not in p.stem and "truncated" not in p.stem],
    ids=lambda p: p.stem,
)
def test_our_fingerprint_is_alertmanagers(path: Path) -> None:
    """A sender that leaves it out must not open a second occurrence of the same alert."""
    alerts = parse(path.read_bytes()).alerts

    assert [a.fingerprint for a in alerts] == [fingerprint_of(a.labels) for a in alerts]


BAD = {
    "nothing": (b"", "not JSON"),
    "not JSON": (b"alerts=1", "not JSON"),
    "cut off": (b'{"alerts": [', "not JSON"),
    "more after it": (b'{"alerts": []} x', "not JSON"),
    "single quotes": (b"{'alerts': []}", "not JSON"),
    "line break in a string": (b'{"alerts": [], "a": "\n"}', "not JSON"),
    "byte order mark": (b'\xef\xbb\xbf{"alerts": []}', "not JSON"),
    "UTF-16": ('{"alerts": []}'.encode("utf-16"), "not UTF-8"),
    "Latin-1": ('{"alerts": [], "a": "ä"}'.encode("latin-1"), "not UTF-8: byte 21"),
    "overlong UTF-8": (b'{"alerts": [], "a": "\xc0\xaf"}', "not UTF-8"),
    "encoded surrogate": (b'{"alerts": [], "a": "\xed\xa0\x80"}', "not UTF-8"),
    "lone high surrogate": (rb'{"alerts": [], "a": "\ud800"}', "surrogate"),
    "lone low surrogate": (rb'{"alerts": [], "a": "\uDC00"}', "surrogate"),
    "surrogates the wrong way round": (rb'{"alerts": [], "a": "\udc00\ud800"}', "surrogate"),
    "lone surrogate in a name": (rb'{"alerts": [], "\udfff": 1}', "surrogate"),
    "NaN": (b'{"alerts": [], "a": NaN}', "NaN is not JSON"),
    "infinity": (b'{"alerts": [], "a": -Infinity}', "-Infinity is not JSON"),
    "overflowing number": (b'{"alerts": [], "a": 1e999}', "the number 1e999 is too large"),
    "integer of 10,000 digits": (b'{"alerts": [], "a": ' + b"9" * 10_000 + b"}", "too many digits"),
    "nested lists": (b"[" * 100_000, "nested too deeply"),
    "nested objects": (b'{"a":' * 100_000, "nested too deeply"),
    "key twice": (b'{"alerts": [], "alerts": []}', "the key alerts stands twice"),
    "label twice": (b'{"alerts": [{"labels": {"a": "1", "a": "2"}}]}', "the key a stands twice"),
    "a list": (b"[]", "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "no alerts": (b"{}", "has no `alerts`"),
    "alerts an object": (b'{"alerts": {}}', "alerts is not a list"),
    "alerts a string": (b'{"alerts": "x"}', "alerts is not a list"),
    "alert a string": (b'{"alerts": ["x"]}', "alerts[0] is not an object"),
    "alert null": (b'{"alerts": [null]}', "alerts[0] is not an object"),
    "truncated a word": (b'{"alerts": [], "truncatedAlerts": "1"}', "truncatedAlerts is not a count"),
    "truncated true": (b'{"alerts": [], "truncatedAlerts": true}', "truncatedAlerts is not a count"),
    "truncated a fraction": (b'{"alerts": [], "truncatedAlerts": 1.0}', "truncatedAlerts is not a count"),
    "truncated below zero": (b'{"alerts": [], "truncatedAlerts": -1}', "truncatedAlerts is not a count"),
    "truncated absurd": (
        b'{"alerts": [], "truncatedAlerts": 1' + b"0" * 400 + b"}",
        "truncatedAlerts is not a count",
    ),
}


@pytest.mark.parametrize(("body", "what"), BAD.values(), ids=BAD.keys())
def test_a_body_that_is_not_of_the_shape_is_refused_with_its_place(body: bytes, what: str) -> None:
    """The message lands in Alertmanager's log, where somebody has to understand it."""
    with pytest.raises(BadPayload) as caught:
        parse(body)

    assert what in str(caught.value)
    assert len(str(caught.value)) <= 200


BAD_FIELDS = {
    "labels missing": ({"labels": ...}, "alerts[1].labels is not an object of strings"),
    "labels null": ({"labels": None}, "alerts[1].labels is not an object of strings"),
    "labels a list": ({"labels": []}, "alerts[1].labels is not an object of strings"),
    "label a number": ({"labels": {"a": "x", "severity": 1}}, "alerts[1].labels.severity is not a string"),
    "label null": ({"labels": {"severity": None}}, "alerts[1].labels.severity is not a string"),
    "label an object": ({"labels": {"severity": {}}}, "alerts[1].labels.severity is not a string"),
    "annotations a string": ({"annotations": "x"}, "alerts[1].annotations is not an object of strings"),
    "annotation true": ({"annotations": {"a": True}}, "alerts[1].annotations.a is not a string"),
    "status unknown": ({"status": "FIRING"}, "alerts[1].status is neither firing nor resolved"),
    "status a number": ({"status": 1}, "alerts[1].status is neither firing nor resolved"),
    "status a list": ({"status": []}, "alerts[1].status is neither firing nor resolved"),
    "start a number": ({"startsAt": 1}, "alerts[1].startsAt is not a time like"),
    "start a list": ({"startsAt": []}, "alerts[1].startsAt is not a time like"),
    "start a date": ({"startsAt": "2026-01-31"}, "alerts[1].startsAt is not a time like"),
    "start without zone": ({"startsAt": "2026-01-31T11:00:00"}, "alerts[1].startsAt is not a time like"),
    "start without seconds": ({"startsAt": "2026-01-31T11:00Z"}, "alerts[1].startsAt is not a time like"),
    "start with a blank": ({"startsAt": "2026-01-31 11:00:00Z"}, "alerts[1].startsAt is not a time like"),
    "start in week format": ({"startsAt": "2026-W05-6T11:00:00Z"}, "alerts[1].startsAt is not a time like"),
    "start with ten digits": (
        {"startsAt": "2026-01-31T11:00:00.0123456789Z"},
        "alerts[1].startsAt is not a time like",
    ),
    "start in other digits": ({"startsAt": "٢026-01-31T11:00:00Z"}, "alerts[1].startsAt is not a time like"),
    "start on February 30": (
        {"startsAt": "2026-02-30T11:00:00Z"},
        "alerts[1].startsAt is not a time that exists",
    ),
    "start at hour 25": (
        {"startsAt": "2026-01-31T25:00:00Z"},
        "alerts[1].startsAt is not a time that exists",
    ),
    "start with offset 99:99": (
        {"startsAt": "2026-01-31T11:00:00+99:99"},
        "alerts[1].startsAt is not a time that exists",
    ),
    "end a word": ({"endsAt": "never"}, "alerts[1].endsAt is not a time like"),
}


@pytest.mark.parametrize(("fields", "what"), BAD_FIELDS.values(), ids=BAD_FIELDS.keys())
def test_a_bad_field_is_refused_with_its_place(fields: dict[str, Any], what: str) -> None:
    """Guessing at a label's meaning would act on the wrong thing."""
    bad = {"status": "firing", "labels": {"alertname": "Down"}} | fields
    bad = {name: value for name, value in bad.items() if value is not ...}
    with pytest.raises(BadPayload) as caught:
        parse({"alerts": [{"labels": {}}, bad]})

    assert str(caught.value).startswith(what)


def test_a_refusal_repeats_only_a_little_of_the_senders_text() -> None:
    """A label's name is anybody's text, and the message goes to logs and terminals."""
    with pytest.raises(BadPayload) as caught:
        parse({"alerts": [{"labels": {"\x1b[31m\u202e" + "x" * 10_000: 1}}]})

    assert "alerts[0].labels.?[31m?" + "x" * 34 + "... is not a string" == str(caught.value)


@pytest.mark.parametrize("alerts", ["[]", "null"])
def test_an_empty_group_is_a_delivery_of_nothing(alerts: str) -> None:
    """It is no mistake of the sender."""
    assert () == parse(f'{{"alerts": {alerts}}}').alerts


TIMES = {
    "UTC": ("2026-01-31T11:00:00Z", datetime(2026, 1, 31, 11, tzinfo=UTC)),
    "lower case": ("2026-01-31t11:00:00z", datetime(2026, 1, 31, 11, tzinfo=UTC)),
    "one digit": ("2026-01-31T11:00:00.5Z", datetime(2026, 1, 31, 11, 0, 0, 500_000, tzinfo=UTC)),
    "nine digits": ("2026-01-31T11:00:00.123456789Z", datetime(2026, 1, 31, 11, 0, 0, 123_456, tzinfo=UTC)),
    "offset": ("2026-01-31T11:00:00.25+05:30", datetime(2026, 1, 31, 5, 30, 0, 250_000, tzinfo=UTC)),
    "offset to the west": ("2026-01-31T23:00:00-03:00", datetime(2026, 2, 1, 2, tzinfo=UTC)),
    "before 1970": ("1900-01-01T00:00:00Z", datetime(1900, 1, 1, tzinfo=UTC)),
    "end of time": ("9999-12-31T23:59:59-01:00", datetime.max.replace(tzinfo=UTC)),
    "missing": (..., NOW),
    "null": (None, NOW),
    "empty": ("", NOW),
    "Go's zero": ("0001-01-01T00:00:00Z", NOW),
    "Go's zero in the east": ("0001-01-01T05:30:00+05:30", NOW),
    "Go's zero in the west": ("0000-12-31T19:00:00-05:00", NOW),
    "before the first day": ("0001-01-01T00:00:00+14:00", NOW),
}


@pytest.mark.parametrize(("said", "meant"), TIMES.values(), ids=TIMES.keys())
def test_a_start_is_read_in_utc(said: Any, meant: datetime) -> None:
    """Occurrences are compared by their start; a missing one is the time of receipt."""
    start = alert_of(startsAt=said).starts_at

    assert meant == start
    assert UTC == start.tzinfo


@pytest.mark.parametrize("said", [..., None, "", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"])
def test_an_end_that_is_not_there_is_none(said: Any) -> None:
    """A firing alert's end is year 1."""
    assert alert_of(endsAt=said).ends_at is None


STATUSES = {
    "firing": ("firing", "2026-01-31T11:30:00Z", AlertStatus.FIRING),
    "resolved": ("resolved", None, AlertStatus.RESOLVED),
    "left out, ended": (..., "2026-01-31T11:30:00Z", AlertStatus.RESOLVED),
    "left out, ends later": (..., "2026-01-31T12:30:00Z", AlertStatus.FIRING),
    "left out, no end": (..., "0001-01-01T00:00:00Z", AlertStatus.FIRING),
    "null": (None, ..., AlertStatus.FIRING),
}


@pytest.mark.parametrize(("status", "ends_at", "meant"), STATUSES.values(), ids=STATUSES.keys())
def test_an_alert_without_a_status_is_judged_by_its_end(status: Any, ends_at: Any, meant: AlertStatus) -> None:
    """Older and other senders leave the status out."""
    assert meant is alert_of(status=status, endsAt=ends_at).status


def test_the_status_of_the_group_counts_for_nothing() -> None:
    """It says firing as long as any alert of the group fires."""
    delivery = parse({"status": "firing", "alerts": [{"status": "resolved", "labels": {}}]})

    assert [AlertStatus.RESOLVED] == [alert.status for alert in delivery.alerts]


@pytest.mark.parametrize("sent", [..., None, "", 5, [], "x" * 65, "a\nb", "\u202e"])
def test_a_fingerprint_that_cannot_be_used_is_computed(sent: Any) -> None:
    """It is a key in the store and stands in logs."""
    assert fingerprint_of({"alertname": "Down"}) == alert_of(fingerprint=sent).fingerprint


def test_a_senders_own_fingerprint_never_stands_for_other_labels() -> None:
    """On another alert's labels it would hide that one, or run its rule on these."""
    one, two = (alert_of(fingerprint="c6eadffa33fcdf37", labels={"alertname": name}) for name in ("A", "B"))

    assert one.fingerprint.startswith("c6eadffa33fcdf37-")
    assert one.fingerprint != two.fingerprint


def test_the_same_alert_twice_is_one() -> None:
    """A doubled entry must not count as a repeat that came later."""
    one = {"status": "firing", "labels": {"a": "1"}, "startsAt": "2026-01-31T11:00:00Z"}
    delivery = parse(
        {"alerts": [one, one | {"status": "resolved"}, one, one | {"startsAt": "2026-01-31T13:00:00+02:00"}]}
    )

    assert [AlertStatus.FIRING, AlertStatus.RESOLVED] == [alert.status for alert in delivery.alerts]
    assert 2 == delivery.repeated


@pytest.mark.parametrize(
    ("quoted", "meant"),
    [
        (r"web\.hook", "web.hook"),
        (r"a\+b\*c\?\(\)\[\]\{\}\^\$\|", "a+b*c?()[]{}^$|"),
        (r"back\\slash", r"back\slash"),
        (r"back\\\.dot", r"back\.dot"),
        (r"not\d quoted", r"not\d quoted"),
        ("plain-1_2", "plain-1_2"),
    ],
)
def test_a_receiver_is_unquoted(quoted: str, meant: str) -> None:
    """Alertmanager sends the name as a regular expression."""
    assert meant == parse({"alerts": [], "receiver": quoted}).receiver


@pytest.mark.parametrize("odd", [None, 1, 1.5, True, [], {}, {"a": 1}])
def test_odd_types_around_the_alerts_are_left_out(odd: Any) -> None:
    """Nothing is decided by them, so they are no reason to lose an alert."""
    around = dict.fromkeys(("receiver", "groupKey", "groupLabels", "externalURL", "version", "commonLabels"), odd)
    item = {"labels": {"alertname": "Down"}, "generatorURL": odd, "annotations": None}
    delivery = parse({**around, "alerts": [item]})

    assert ("", "", {}, "") == (
        delivery.receiver,
        delivery.group_key,
        delivery.group_labels,
        delivery.external_url,
    )
    assert ("Down", "", {}) == (
        delivery.alerts[0].name,
        delivery.alerts[0].generator_url,
        delivery.alerts[0].annotations,
    )


@pytest.mark.parametrize(
    ("escaped", "meant"),
    [
        (r"\u003cb\u003e", "<b>"),
        (r"\ud83e\uddc0", "🧀"),
        (r"\\ud800", r"\ud800"),
        (r"\u0000", "\x00"),
        ("🧀", "🧀"),
    ],
)
def test_escapes_of_whole_characters_are_text(escaped: str, meant: str) -> None:
    """Go escapes <, > and &, so escapes are in most bodies; a backslash before `ud800` is none."""
    delivery = parse(f'{{"alerts": [{{"labels": {{"a": "{escaped}"}}}}]}}')

    assert {"a": meant} == delivery.alerts[0].labels


def test_a_group_of_any_size_is_read() -> None:
    """Alertmanager has no limit by default."""
    item = {"status": "firing", "startsAt": "2026-01-31T11:00:00Z"}
    delivery = parse({"alerts": [item | {"labels": {"pod": f"web-{n}"}} for n in range(5_000)]})

    assert 5_000 == len(delivery.alerts)


def _delivery_or_refusal(body: bytes) -> None:
    delivery, refusal = None, "a delivery"
    try:
        delivery = parse_delivery(body, received_at=NOW)
    except BadPayload as error:
        refusal = str(error)

    assert 0 < len(refusal) <= 200
    assert refusal.isprintable()
    for alert in delivery.alerts if delivery else ():
        assert timedelta(0) == alert.starts_at.utcoffset()
        assert 0 < len(alert.fingerprint) <= 64 + 1 + 16
        for text in (*alert.labels, *alert.labels.values(), *alert.annotations.values()):
            assert text == text.encode().decode()


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
FIELD = ANY_JSON | st.sampled_from(["firing", "resolved", "", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9-23:59"])
ALERT = st.fixed_dictionaries(
    {"labels": st.dictionaries(st.text(max_size=5), st.text(st.characters(), max_size=5) | ANY_JSON, max_size=3)},
    optional=dict.fromkeys(("status", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"), FIELD),
)
NAMES = (
    "alerts",
    "receiver",
    "groupKey",
    "groupLabels",
    "externalURL",
    "truncatedAlerts",
    "status",
    "version",
)
ENVELOPE = st.fixed_dictionaries({"alerts": st.lists(ALERT, max_size=3)}, optional=dict.fromkeys(NAMES[1:], FIELD))


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_delivery_or_refused(body: bytes) -> None:
    """Any other exception would be answered 503, and the body sent again for ever."""
    _delivery_or_refusal(body)


@settings(deadline=None, max_examples=300)
@given(ENVELOPE | ANY_JSON, st.booleans())
def test_any_json_is_a_delivery_or_refused(value: Any, escape: bool) -> None:
    """The same for bodies that come close."""
    _delivery_or_refusal(json.dumps(value, ensure_ascii=escape).encode("utf-8", "surrogatepass"))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_payload_is_a_delivery_or_refused(data: st.DataObject) -> None:
    """The same for real bodies with a part cut out or replaced."""
    body = data.draw(st.sampled_from(PAYLOADS)).read_bytes()
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(start + 40, len(body))))
    filler = data.draw(st.binary(max_size=5) | st.sampled_from([b"null", b"1e999", b'"', b"{}", b"[", rb"\ud800"]))
    _delivery_or_refusal(body[:start] + filler + body[end:])
