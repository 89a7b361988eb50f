"""One whole crash test: alerts come, services suffer, everything settles, and what is left is judged."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from remediator.kit.failpoints import POINTS
from tests.crash.checker import Verdict, judge, told
from tests.crash.driver import ONLY_SHARED, Deed, Fate, Tormentor, dump, traffic
from tests.crash.ran import NEAR
from tests.crash.rig import KINDS, rig

_IN_PEACE = 3  # alerts of each kind that are sent at last: it still does all that it is there for


@dataclass(frozen=True)
class Scene:
    """What is to happen how often, on which store, to how many replicas; the seed decides the rest."""

    seed: int
    times: int
    database: str = ""
    replicas: int = 1
    deeds: Sequence[Deed] = ("kill",)
    fates: Iterable[Fate] = ()
    finds: bool = True
    """Whether the chat's messages can be looked for; where not, they are repeated with a note."""
    every: float = 0.3  # seconds from one delivery to the next
    point_limit: float = 3.0


async def play(scene: Scene, folder: Path) -> tuple[Verdict, Counter[str]]:
    """The verdict, and how often each thing has happened."""
    chance = random.Random(scene.seed)
    async with rig(
        folder, seed=scene.seed, database=scene.database, replicas=scene.replicas, finds=scene.finds
    ) as whole:
        tormentor = Tormentor(whole, chance, deeds=scene.deeds, point_limit=scene.point_limit)
        async with traffic(whole, chance, every=scene.every) as sender:
            await tormentor.torment(scene.times, scene.fates)
            await asyncio.sleep(2 * NEAR)  # so that the checker sees that these came after all that
            for kind in KINDS:
                sender.send(_IN_PEACE, kind)
        await dump(whole)
    return judge(folder, least_calm=_IN_PEACE * len(KINDS)), tormentor.counts


def every_point(chance: random.Random, *, shared: bool) -> list[Fate]:
    """A kill at each failpoint, soon after the start."""
    points = [point for point in POINTS if shared or point not in ONLY_SHARED]
    return [Fate(point, chance.randrange(3)) for point in chance.sample(points, len(points))]


def report(scene: Scene, verdict: Verdict, counts: Counter[str]) -> str:
    """All that a person needs to see it again."""
    happened = ", ".join(f"{what}: {count}" for what, count in sorted(counts.items()))
    return f"seed {scene.seed}; {happened}\n{told(verdict)}"
