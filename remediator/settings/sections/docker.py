"""The settings of the Docker engines that actions may use."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator

from remediator.model.duration import Duration
from remediator.settings.addresses import engine_address
from remediator.settings.sections.section import Section


class DockerSettings(Section):
    """The Docker engines that actions may use."""

    engines: dict[str, Annotated[str, AfterValidator(engine_address)]] = {}
    """Engines by name, with the address of each: `local: unix:///var/run/docker.sock`; others begin with `tcp://` or
    `ssh://`. Rules name an engine by `engine:`; the one called `local` is the default."""
    timeout: Duration = timedelta(seconds=30)
    """How long one call to an engine may take."""
