"""The store on a real PostgreSQL: what shares a commit, what people send, and the whole service on it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from remediator.model.alert import Alert, AlertStatus, Delivery
from remediator.model.change import Ended as ChangeEnded
from remediator.model.change import Ending
from remediator.model.facts import Ended, Examined
from remediator.model.history import Latest, Nth, Standing, Which
from remediator.model.ids import Fingerprint, RuleId, RunId
from remediator.model.occurrence import Accepted, Ruling
from remediator.model.outcome import Outcome
from remediator.model.run import Cancel
from remediator.storage.postgres import run_writes
from remediator.storage.postgres.run_writes import End, Learn, Park, RunWrite, Start
from remediator.storage.runs import Claim, Entry, Reservation
from tests import services
from tests.integration.on_postgres import (
    BUDGET,
    ME,
    PASSWORD,
    T0,
    alert,
    deliver,
    fire,
    opened,
    opener,
    plain,
    started,
    url_of,
    within_budget,
)
from tests.served import Served


async def test_many_writes_of_one_kind_take_as_many_statements_as_one(new_database: str) -> None:
    """A way to the server and back for each would bound how many runs a process can carry on."""
    names = [f"a{number}" for number in range(20)]
    claims = [Claim(RunId(f"{name}-me"), ME, 1, 0) for name in names]
    ended = Ended(T0, Outcome.HEALED, "fine")

    def guarded(claim: Claim) -> Reservation:
        asked = (Nth(Which(target=claim.run), 3, T0), Latest(Which(RuleId("p/r")), 9, T0), Standing((claim.run,)))
        return replace(within_budget(claim, claim.run), questions=(BUDGET, *asked), judge=lambda _known: None)

    kinds: list[list[RunWrite[Any]]] = [
        [Learn(T0, claim, Entry([Examined(T0, 1, {})])) for claim in claims],
        [Start(T0, claim, Entry(), started(), Reservation((claim.run,))) for claim in claims],
        [
            Start(T0, claim, Entry(endings=[ChangeEnded(1, Ending.DONE, T0)]), started(2), guarded(claim))
            for claim in claims
        ],
        [Park(T0, claim, Entry(), T0) for claim in claims[:10]]
        + [End(T0, c, Entry(), ended, None, None) for c in claims[10:]],
    ]
    asked: list[str] = []
    counts = []
    async with opened(new_database) as store, plain(new_database) as db:
        await fire(store, *names)
        for writes in (kinds[0], kinds[2]):  # the library asks for types once; the same facts again are no mistake
            await run_writes.make_all(db, writes)
        with db.query_logger(lambda query: asked.append(query.query)):
            for writes in kinds:
                asked.clear()
                results = await run_writes.make_all(db, writes)
                await asyncio.sleep(0)  # the library tells of a statement in the next round of the loop
                counts.append((len(asked), {type(result) for result in results}))

    assert [(1, {type(None)}), (3, {type(None)}), (7, {type(None)}), (2, {bool})] == counts


async def test_a_fact_that_is_there_already_is_no_mistake_and_another_in_its_place_is(new_database: str) -> None:
    """Its owner may not have heard that it was written; but what has happened is never changed."""
    async with opened(new_database) as store:
        await fire(store, "a")
        claim = Claim(RunId("a-me"), ME, 1, 0)
        await store.learn(claim, Entry([Examined(T0, 1, {})]))
        await store.learn(claim, Entry([Examined(T0, 1, {})]))
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await store.learn(claim, Entry([Examined(T0 + timedelta(seconds=1), 1, {})]))
        run = await store.read_run(claim.run)

    assert run is not None
    assert (Examined(T0, 1, {}),) == run.facts


async def test_what_fails_in_a_shared_commit_fails_alone(new_database: str) -> None:
    """The server takes the whole transaction back for it; everybody else's write is made again."""
    async with opened(new_database) as store:
        await fire(store, "a", "b")
        await store.learn(Claim(RunId("a-me"), ME, 1, 0), Entry([Examined(T0, 1, {})]))
        later = Entry([Examined(T0 + timedelta(seconds=1), 1, {})])
        wrong, right, accepted = await asyncio.gather(
            store.learn(Claim(RunId("a-me"), ME, 1, 0), later),
            store.learn(Claim(RunId("b-me"), ME, 1, 0), later),
            fire(store, "c"),
            return_exceptions=True,
        )
        run = await store.read_run(RunId("b-me"))

    assert isinstance(wrong, asyncpg.IntegrityConstraintViolationError)
    assert right is None
    assert isinstance(accepted, Accepted)
    assert run is not None
    assert tuple(later.facts) == run.facts


async def test_labels_that_postgresql_cannot_hold_as_they_are_lose_nothing(new_database: str) -> None:
    """A NUL, or a value as long as a body, must not have a whole delivery refused again and again."""
    odd = Alert(Fingerprint("ab"), AlertStatus.FIRING, {"alertname": "N\0", "x": "\0" + "y" * 100_000}, {}, T0)
    long = "é" * 50_000
    async with opened(new_database) as store:
        await store.accept(Delivery((odd, alert("c")), received_at=T0), opener(group=long), ME)
        joined = await fire(store, "d", group=long)
        again = await store.accept(Delivery((odd,), received_at=T0), opener(group=long), ME)
        found = await store.newest_occurrence("ab")
        nobody = await store.newest_occurrence("\0") or await store.read_run(RunId("\0"))
        (run, *_) = await store.list_runs(limit=1)
        claim = Claim(run.id, ME, 1, 99)
        free = await store.start(claim, Entry([Examined(T0, 1, {})]), started(), Reservation((long, "\0")))
        await store.signal(run.id, Cancel(T0, "a\0nn"))

    assert nobody is None
    assert found is not None
    assert odd.labels == found.labels
    assert () == joined.new_runs
    assert (Ruling.REPEATED,) == again.rulings
    assert free is None


async def test_ten_thousand_alerts_of_one_delivery_are_accepted_together(new_database: str) -> None:
    """A group can be that large, and it comes when the most is on fire."""
    async with opened(new_database, timeout="30s") as store:
        accepted = await fire(store, *(f"a{number}" for number in range(10_000)))

    assert 10_000 == len(accepted.new_runs)


def test_the_service_heals_on_postgresql_and_goes_on_after_a_kill(served: Served, new_database: str) -> None:
    """What was accepted is told and done, whatever happens to the process."""
    folder = str(served.folder / "store")
    served.configure(mode="auto", sustain="2s", store={"directory": folder, "url": new_database})
    served.start()
    accepted = deliver(served)
    services.wait_until((served.folder / "mended-web").exists, "the step to be done")
    served.kill()
    served.start()
    services.wait_until(lambda: served.run()["outcome"] is not None, "the run to end")
    run = served.run()
    code = served.stop()

    assert (202, "healed", 0) == (accepted, run["outcome"], code)
    assert not list(Path(folder).glob("*.sqlite3*"))


def test_the_service_waits_out_an_outage_and_says_so(served: Served, own_server: services.Postgres) -> None:
    """Readiness turns bad, senders get 503, and all goes on by itself; the log has no password in it."""
    (served.folder / "secret").write_text(PASSWORD)
    store = {
        "directory": str(served.folder / "store"),
        "url": url_of(own_server),
        "password_file": str(served.folder / "secret"),
    }
    served.configure(mode="auto", store=store)
    served.start()
    own_server.stop()
    services.wait_until(lambda: served.readiness()[0] == 503, "it to be not ready")
    refused = deliver(served)
    with services.postgresql_again(own_server):
        services.wait_until(lambda: served.readiness()[0] == 200, "it to be ready again")
        accepted = deliver(served)
        services.wait_until(lambda: served.run()["outcome"] is not None, "the run to end")
        outcome = served.run()["outcome"]
        served.stop()

    assert (503, 202, "healed") == (refused, accepted, outcome)
    assert PASSWORD not in served.log()
