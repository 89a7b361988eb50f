"""Decides on plans as people do: by their own tokens, on any replica, twice when nobody has answered, and at once.

What they were told is written down: `decided.jsonl` what was taken, `repeated.jsonl` what was answered to the same word
said again, `refused.jsonl` what they may say and were not let. The checker judges that.
"""

import asyncio
import json
import random
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import aiohttp

from tests.crash.api import Api
from tests.crash.journal import note
from tests.crash.rig import SUBJECTS, Rig

_EVERY = 0.2  # seconds
_LOOK_AT_HEAD = 1.0
_DENIED = 4  # one run of so many is
_ADMIN = "admin"


@dataclass(frozen=True)
class Word:
    """What one person says to one question."""

    run: str
    asked_at: str
    digest: str
    who: str
    approved: bool
    waits: bool = False
    """Whether it is said only when the words before it were taken."""


def words_on(question: dict[str, Any], *, denies: bool) -> list[Word]:
    """All that is to be said to it: most are approved, by two people or by the admin; by its id, some are denied."""
    run, asked_at, digest = question["id"], question["asked_at"], question["digest"]
    lot = zlib.crc32(run.encode())
    denies = denies and lot % _DENIED == 0
    if question["quorum"] == 1:
        return [Word(run, asked_at, digest, _ADMIN, approved=not denies)]
    first, second = SUBJECTS
    if denies and lot % (2 * _DENIED) == 0:
        return [Word(run, asked_at, digest, first, approved=False)]
    one = Word(run, asked_at, digest, first, approved=True)
    return [one, Word(run, asked_at, digest, second, approved=not denies, waits=denies)]


class People:
    """Everybody who decides."""

    def __init__(self, rig: Rig, chance: random.Random, *, denies: bool = True) -> None:
        """`denies`: whether some plans are denied."""
        self._rig = rig
        self._chance = chance
        self._denies = denies
        self._api = Api(rig)
        self._tokens: dict[str, str] = {}
        self._left: dict[tuple[str, str], list[Word]] = {}  # of each question: what is still to be said
        self._head = 0
        self._look_from = 0.0

    async def work(self) -> None:
        """Decide on all that comes up, until cancelled."""
        while True:
            await self.decide()
            await self._note_head()
            await asyncio.sleep(_EVERY)

    async def decide(self) -> None:
        """Say what is to be said now, also what nobody has answered to before."""
        listed = await self._api.get("/api/v1/approvals") or {"approvals": []}
        for question in listed["approvals"]:
            self._left.setdefault((question["id"], question["asked_at"]), words_on(question, denies=self._denies))
        for key, left in self._left.items():
            now = [left[0], *takewhile(lambda word: not word.waits, left[1:])] if left else []
            is_said = await asyncio.gather(*map(self._say, now))
            said = {word for word, done in zip(now, is_said, strict=True) if done}
            self._left[key] = [word for word in left if word not in said]

    async def _say(self, word: Word) -> bool:
        """Say it; now and then at two places at once, and now and then again. Whether anybody has answered."""
        times = self._chance.choice((1, 1, 1, 2))
        answers = [one for one in await asyncio.gather(*(self._send(word) for _ in range(times))) if one is not None]
        is_taken = False
        for status, says in sorted(answers, key=lambda answer: answer[0]):  # which of two came first only they know
            is_taken = self._note(word, status, says, again=is_taken) or is_taken
        if is_taken and self._chance.random() < 0.25 and (answer := await self._send(word)) is not None:
            self._note(word, *answer, again=True)
        return bool(answers)

    def _note(self, word: Word, status: int, says: str, *, again: bool) -> bool:
        """Write down what they were told; whether the word is taken, now or before."""
        told = {"run": word.run, "who": word.who, "status": status, "says": says}
        if again:
            note(self._rig.folder / "repeated.jsonl", **told)
            return True
        is_taken = status == 202 or "you have approved it already" in says or f"{word.who} has " in says
        if is_taken:
            said = {"run": word.run, "who": word.who, "approved": word.approved, "digest": word.digest}
            note(self._rig.folder / "decided.jsonl", **said)
        elif status != 409:
            note(self._rig.folder / "refused.jsonl", **told)
        return is_taken

    async def _send(self, word: Word) -> tuple[int, str] | None:
        """What one of the services answers; None where it is not known whether it was taken."""
        reason = {} if word.approved else {"reason": "not now"}
        by = {"by": _ADMIN} if word.who == _ADMIN else {}
        body = {"approved": word.approved, "digest": word.digest, **reason, **by}
        return await self._post(f"/api/v1/runs/{word.run}/decision", body, word.who)

    async def _post(self, path: str, body: dict[str, Any], who: str) -> tuple[int, str] | None:
        there = [service for service in self._rig.services if service.lives and not service.is_frozen]
        if not there or (who != _ADMIN and not await self._has_token(who)):
            return None
        service = self._chance.choice(there)
        with suppress(aiohttp.ClientError, TimeoutError, FileNotFoundError):
            headers = service.headers if who == _ADMIN else {"Authorization": f"Bearer {self._tokens[who]}"}
            async with self._rig.http.post(
                service.url + path, json=body, headers=headers, timeout=aiohttp.ClientTimeout(5)
            ) as answer:
                return None if answer.status in (429, 500, 503) else (answer.status, await answer.text())
        return None

    async def _has_token(self, who: str) -> bool:
        """Whether they have one; they get it when they need it first."""
        if who not in self._tokens:
            wanted = {"subject": SUBJECTS[who], "scope": "decide", "for": "1d", "by": "the driver"}
            made = await self._post("/api/v1/tokens", wanted, _ADMIN)
            if made is not None:
                assert made[0] == 201, made
                self._tokens[who] = json.loads(made[1])["token"]
        return who in self._tokens

    async def _note_head(self) -> None:
        """Write down how the audit journal ends, now and then: that has to stand there for ever."""
        if time.monotonic() < self._look_from:
            return
        self._look_from = time.monotonic() + _LOOK_AT_HEAD
        page = await self._api.get("/api/v1/audit?limit=1")
        if page is not None and page["head"]["place"] > self._head:
            self._head = page["head"]["place"]
            note(self._rig.folder / "heads.jsonl", **page["head"])


@asynccontextmanager
async def deciding(rig: Rig, chance: random.Random, *, denies: bool = True) -> AsyncIterator[None]:
    """People decide meanwhile."""
    task = asyncio.create_task(People(rig, chance, denies=denies).work(), name="decide on plans")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
