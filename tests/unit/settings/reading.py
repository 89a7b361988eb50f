"""Settings as tests write them, and the mistakes that are found in them."""

from collections.abc import Callable

import pytest

from remediator.errors import BadSettings
from remediator.settings import Settings

Load = Callable[[str], Settings]


def mistakes_of(load: Load, text: str) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load(text)
    return str(caught.value).splitlines()
