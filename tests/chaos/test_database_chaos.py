"""PostgreSQL stopped, restarted and cut off while alerts come: what was answered 202 has one run and its outcome."""

from contextlib import ExitStack

from tests import services, storm
from tests.chaos import after_an_outage
from tests.chaos.after_an_outage import is_ready
from tests.faults import Fault, FaultProxy
from tests.served import Served


def use(served: Served, address: str) -> None:
    """Have the service keep everything in that database, over a connection that the proxy can read."""
    url = f"postgresql://postgres@{address}/remediator"
    store = {"directory": str(served.folder / "store"), "url": url, "sslmode": "disable"}
    storm.configure(served, store=store)
    served.start()


def check(served: Served, load: storm.Load, database: services.Postgres) -> None:
    """Nothing lost, nothing twice, and it went on by itself."""
    after_an_outage.check(served, load, database)

    assert served.process is not None
    assert served.process.poll() is None
    assert 200 == served.readiness()[0]


def test_a_database_that_is_stopped_for_a_while_loses_nothing_and_repeats_nothing(
    served: Served, database: services.Postgres
) -> None:
    """Senders get 503 and send again; what was under way goes on when it is back; nobody has to restart us."""
    use(served, database.address)
    with storm.Load(served) as load:
        load.wait_for(20)
        database.stop()
        is_ready(served, 503)
        storm.let_pass(8 * storm.SCALE)
        with services.postgresql_again(database) as again:
            is_ready(served, 200)
            load.wait_for(20)
            load.finish()

            assert load.answers[503] > 0
            check(served, load, again)


def test_a_database_that_is_restarted_again_and_again_under_load(served: Served, database: services.Postgres) -> None:
    """Its own upgrade, or a failover: every connection breaks, wherever it was in a transaction."""
    use(served, database.address)
    running = database
    with ExitStack() as started, storm.Load(served, rate=20) as load:
        for _ in range(3 * storm.SCALE):
            load.wait_for(15)
            running.stop()
            running = started.enter_context(services.postgresql_again(running))
        load.wait_for(15)
        load.finish()
        check(served, load, running)


def test_connections_that_are_reset_in_the_middle_of_commits(served: Served, database: services.Postgres) -> None:
    """By turns before the commit arrives and after it: the service cannot tell, and must find out."""
    with FaultProxy(database.address) as link:
        use(served, link.address)
        with storm.Load(served, rate=20) as load:
            load.wait_for(10)
            link.cut_at(b"COMMIT", every=15)
            services.wait_until(lambda: link.cuts >= 6 * storm.SCALE, "connections to be cut", limit=60 * storm.SCALE)
            link.cut_at(b"", every=1)
            load.finish()
            check(served, load, database)


def test_a_link_to_the_database_that_hangs_and_breaks_is_told_by_readiness(
    served: Served, database: services.Postgres
) -> None:
    """A firewall that drops everything gives no error at all; answers that never come are worse than none."""
    with FaultProxy(database.address) as link:
        use(served, link.address)
        with storm.Load(served) as load:
            for fault in (Fault.HANG, Fault.SWALLOW, Fault.REFUSE, Fault.RESET):
                load.wait_for(10)
                link.turn(fault)
                is_ready(served, 503)
                link.turn(Fault.NONE)
                is_ready(served, 200)
            load.wait_for(10)
            load.finish()
            check(served, load, database)
