"""The service as a process in a burst of alerts: each is taken once, also where it is killed meanwhile."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

import aiohttp
import pytest

from tests import services
from tests.integration.delivering import body_of
from tests.integration.test_serve import ALERTS, REQUESTS
from tests.served import Served


async def post_all(served: Served, bodies: Sequence[bytes], *, kill_after: int = 0) -> list[int]:
    """Post all at once; the status of each, 0 for no answer. The service is killed after so many answers."""
    answers = 0

    async def post(session: aiohttp.ClientSession, body: bytes) -> int:
        nonlocal answers
        try:
            async with session.post(f"{served.url}/api/v1/alerts", data=body) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, OSError):
            return 0
        finally:
            answers += 1
            if answers == kill_after:
                served.kill()

    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        return list(await asyncio.gather(*(post(session, body) for body in bodies)))


def groups() -> list[list[dict[str, str]]]:
    """Two thousand alerts in two hundred groups."""
    size = ALERTS // REQUESTS
    return [[{"alertname": "Seen", "n": str(n * size + i)} for i in range(size)] for n in range(REQUESTS)]


def runs_by_alert(served: Served) -> Counter[str]:
    """How many runs each alert has, read from the store."""
    with sqlite3.connect(f"file:{served.folder}/store/remediator.sqlite3?mode=ro", uri=True) as db:
        rows = db.execute("SELECT o.labels FROM run JOIN occurrence AS o ON o.id = run.occurrence").fetchall()
    db.close()
    return Counter(json.loads(row[0])["n"] for row in rows)


def all_ended(served: Served, *, count: int) -> bool:
    with sqlite3.connect(f"file:{served.folder}/store/remediator.sqlite3?mode=ro", uri=True) as db:
        found = db.execute("SELECT count(*), count(ended_at) FROM run").fetchone()
    db.close()
    return bool(found == (count, count))


async def test_a_burst_is_taken_whole_with_one_run_for_each_alert(served: Served) -> None:
    """A data centre that fails sends everything at once."""
    served.configure(log={"level": "warning"})
    served.start()
    statuses = await post_all(served, [body_of(*group) for group in groups()])
    services.wait_until(lambda: all_ended(served, count=ALERTS), "all runs to end", limit=180)

    assert {202: REQUESTS} == Counter(statuses)
    assert {str(n): 1 for n in range(ALERTS)} == runs_by_alert(served)
    assert 200 == served.readiness()[0]
    assert 0 == served.stop()


@pytest.mark.parametrize("kill_after", [1, 60, 150])
async def test_what_was_accepted_before_a_kill_is_there_after_it(served: Served, kill_after: int) -> None:
    """202 is a promise: whoever got it will not send again for hours. What got none is sent again."""
    served.configure(log={"level": "warning"})
    served.start()
    sent = groups()
    bodies = [body_of(*group) for group in sent]
    statuses = await post_all(served, bodies, kill_after=kill_after)
    promised = {alert["n"] for group, status in zip(sent, statuses, strict=True) if status == 202 for alert in group}
    kept = runs_by_alert(served)
    served.start()
    again = await post_all(served, [body for body, status in zip(bodies, statuses, strict=True) if status != 202])
    services.wait_until(lambda: all_ended(served, count=ALERTS), "all runs to end", limit=180)

    assert promised <= set(kept)
    assert {202} >= set(again)
    assert {str(n): 1 for n in range(ALERTS)} == runs_by_alert(served)
