"""Sizes are read as Docker reads them, and told as people say them."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from remediator.model.size import Size, parse_size, say_size


class Holder(BaseModel):
    size: Size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("1b", 1),
        ("2k", 2048),
        ("512m", 512 * 1024**2),
        ("8g", 8 * 1024**3),
        ("8G", 8 * 1024**3),
        ("8 GiB", 8 * 1024**3),
        ("8gb", 8 * 1024**3),
        ("1.5g", 3 * 1024**3 // 2),
        ("1t", 1024**4),
        (" 64m ", 64 * 1024**2),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    """As in a compose file."""
    assert size == parse_size(text)
    assert size == Holder(size=text).size


@pytest.mark.parametrize(
    "text", ["", "g", "8x", "-8g", "8g8", "1e9", "0x10", "8 g b", ".5g", "8.g", "9" * 16 + "g", "9" * 15 + "t", "٨g"]
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    """Half a size must not become a limit."""
    with pytest.raises(ValueError, match=r"write it like 512m, 8g|larger than any size"):
        parse_size(text)


@pytest.mark.parametrize("value", [1.5, True, None, [8]])
def test_only_text_and_whole_numbers_are_sizes(value: Any) -> None:
    """`1.5` of what? And true is no size."""
    with pytest.raises(ValidationError, match="write a size like"):
        Holder(size=value)


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (900, "900 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (8 * 1024**3, "8 GiB"), (1024**4, "1 TiB")],
)
def test_a_size_is_said(size: int, said: str) -> None:
    """For people who approve it."""
    assert said == say_size(size)


def test_a_size_comes_back_from_a_stored_plan() -> None:
    """A plan keeps parameters as JSON, and acts on what it reads back."""
    stored = Holder(size=parse_size("1.5g")).model_dump(mode="json")

    assert {"size": "1610612736b"} == stored
    assert Holder.model_validate(stored) == Holder(size=parse_size("1.5g"))
