"""What stands under the fields of a model is found where it is asked for, and nowhere else."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, create_model

from remediator.documents import Described, fields_of


class Door(Described):
    """A door. Not a field's."""

    width: int
    """How wide it is,
    in centimetres."""
    height: Annotated[int, Field(description="How high it is.")] = 200
    """Not this."""
    bare: str = ""
    for_: str = Field(default="", alias="for")
    """What it is for."""

    @property
    def area(self) -> int:
        """Not a field either."""
        return self.width * self.height


class Gate(Door):
    """A door in a fence."""

    fence: str = ""
    """What it is in."""


class Other(BaseModel):
    """A model of somebody who knows nothing of ours."""

    name: str
    """Its name."""
    door: Door | None = None


class House:
    """Something around a model."""

    class Room(BaseModel):
        """A room."""

        name: str
        """Its name,
as people say it."""


EXPECTED = {
    "width": "How wide it is,\nin centimetres.",
    "height": "How high it is.",
    "bare": None,
    "for_": "What it is for.",
}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Door, EXPECTED),
        (Gate, EXPECTED | {"fence": "What it is in."}),
        (Other, {"name": "Its name.", "door": None}),
        (House.Room, {"name": "Its name,\nas people say it."}),
        (create_model("Made", size=(int, ...), __base__=Described), {"size": None}),
    ],
    ids=lambda given: given.__name__ if isinstance(given, type) else "",
)
def test_each_field_is_described_by_what_stands_under_it(model: type[BaseModel], expected: dict[str, str]) -> None:
    """Pages, the schema and the command line show it; a model that a program has made has none."""
    assert expected == {name: field.description for name, field in fields_of(model).items()}


def test_the_model_itself_is_left_as_it_is() -> None:
    """Asking for a description must not change what the model is for others."""
    fields_of(Door)

    assert Door.model_fields["width"].description is None


def test_the_schema_tells_the_same_by_the_names_that_people_write() -> None:
    """Editors show it; `for` is what stands in the file."""
    properties: dict[str, Any] = Gate.model_json_schema()["properties"]

    expected = {"width": EXPECTED["width"], "height": "How high it is.", "bare": None, "for": "What it is for."}
    assert expected | {"fence": "What it is in."} == {
        name: said.get("description") for name, said in properties.items()
    }


def test_the_schema_tells_it_of_a_model_within_another() -> None:
    """Most are: a section of the settings, a remedy of a rule."""
    within = Other.model_json_schema()["$defs"]["Door"]["properties"]

    assert "What it is for." == within["for"]["description"]
