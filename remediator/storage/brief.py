"""What a list keeps of an occurrence; the same for every engine."""

from collections.abc import Mapping
from dataclasses import replace

from remediator.kit.redaction import shorten
from remediator.model.occurrence import Occurrence

_ROOM, _LONGEST_VALUE = 10_000, 1_000  # characters of one alert's labels, or annotations, and of one of them in a list


def in_short(whole: Occurrence) -> Occurrence:
    """What a list keeps of one: an alert can be as long as a body, and hundreds of those would fill the memory."""
    doubt = whole.doubt
    if doubt is not None:
        alert = replace(
            doubt.alert, labels=_first_of(doubt.alert.labels), annotations=_first_of(doubt.alert.annotations)
        )
        doubt = replace(doubt, alert=alert)
    return replace(whole, labels=_first_of(whole.labels), annotations=_first_of(whole.annotations), doubt=doubt)


def _first_of(values: Mapping[str, str]) -> Mapping[str, str]:
    """As much of labels or annotations as there is room for; almost always all of them."""
    if sum(map(len, values)) + sum(map(len, values.values())) <= _ROOM:
        return values
    kept, room = {}, _ROOM
    for name, value in sorted(values.items(), key=lambda pair: pair[0] != "alertname"):
        short = shorten(value, _LONGEST_VALUE)
        room -= len(name) + len(short)
        if room < 0:
            break
        kept[name] = short
    return kept
