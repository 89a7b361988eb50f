"""What every part of the settings is: closed, frozen, and able to take a secret from a file. Used by the sections."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, SecretStr, model_validator

from remediator.documents import Described


class Section(Described):
    """One part of the settings. Unknown names are mistakes; a secret may be given as a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    secret_files: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        read = dict(data)
        for name in cls.secret_files:
            path = read.pop(f"{name}_file", None)
            if path is None:
                continue
            if read.get(name):
                raise ValueError(f"give {name} or {name}_file, not both")
            try:
                read[name] = Path(str(path)).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{name}_file: {path} cannot be read: {_why_unreadable(error)}") from None
            except ValueError:  # a path with a null character, or what is no text: its bytes may be the secret's
                what = "cannot be read: it is not text in UTF-8; name the file that holds the secret and nothing else"
                raise ValueError(f"{name}_file: {path} {what}") from None
        return read


def _why_unreadable(error: OSError) -> str:
    """Why the file of a secret cannot be read, and what to do about it."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            why, remedy = "there is no such file", "correct the path, or put the secret there"
        case PermissionError():
            why, remedy = "permission denied", "let the user that runs remediator read it, and the folders above it"
        case IsADirectoryError():
            why, remedy = "it is a folder", "name the file in it that holds the secret"
        case _:
            why, remedy = error.strerror or type(error).__name__, "mend that, or name another file"
    return f"{why}; {remedy}"


class Secret(Section):
    """One secret, written here or, better, in a file."""

    secret_files = ("value",)

    value: SecretStr
    """The secret itself; `value_file` names a file that holds it."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare(cls, data: Any) -> Any:
        return {"value": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _refuse_empty(self) -> Self:
        if not self.value.get_secret_value():
            raise ValueError("this secret is empty")
        return self
