"""`files.compact`: which entries of an outbox go, and whom it leaves alone."""

import os
from pathlib import Path

import pytest

from remediator.actions import files
from remediator.clients import Clients
from remediator.errors import Failed
from tests.unit.actions.files.calling import act, names_in


def entries(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


async def test_acknowledged_old_entries_go_and_everything_else_stays(clients: Clients, root: Path) -> None:
    """Byte for byte and in order: whatever is not understood is somebody's."""
    keep = (
        entries(
            '{"id": "open", "ts": "2020-01-01T00:00:00Z"}',
            '{"id": "new", "ts": "2999-01-01T00:00:00+02:00", "acked": true}',
            '{"id":  "odd space",   "ts": 5}',
            "no json",
            "",
            '{"ts": 5, "acked": true}',
            '{"id": "no time", "acked": true}',
            '{"id": "naive", "ts": "2020-01-01T00:00:00", "acked": true}',
            '{"id": "words", "ts": 5, "acked": "true"}',
            '{"id": "one", "ts": 5, "acked": 1}',
            '{"id": true, "ts": 5, "acked": true}',
            '{"id": null, "ts": 5, "acked": true}',
            '{"id": ["x"], "ts": 5, "acked": true}',
            '{"id": "", "ts": 5, "open": "its id is left out"}',
            '{"id": "", "ts": 5, "acked": true}',
            '{"id": 0, "ts": 5}',
            '{"id": 0, "ts": 5, "acked": true}',
            '{"id": "far", "ts": 1e300, "acked": true}',
            '{"id": "nan", "ts": NaN, "acked": true}',
            '{"id": "twice", "id": "twice", "ts": 5, "acked": true}',
            '["id", 1]',
            '{"id": 7, "ts": 5}',
            '{"id": "again", "ts": 5, "acked": true}',
            '{"id": "again", "ts": 6}',
        )
        + b'\xff{"id": "bytes", "ts": 5, "acked": true}\n'
    )
    gone = entries(
        '{"id": "done", "ts": "2999-01-01T00:00:00Z", "payload": 1}',
        '{"id": "done", "ts": 1600000000.5, "acked": true}',
        '{"id": "7", "ts": 5, "acked": true}\r',
        '{"id": "rfc", "ts": "2020-01-01t00:00:00.123456789z", "acked": true}',
    )
    torn = b'{"id": "torn", "ts": 5, "acked": true}'
    outbox = root / "outbox.wal"
    outbox.write_bytes(gone[:60] + gone[60:] + keep + torn)
    outbox.chmod(0o604)
    os.setxattr(outbox, "user.tag", b"kept")

    found = await act(clients, files.compact, path="outbox.wal")

    assert keep + torn == outbox.read_bytes()
    assert (25, 4, len(gone)) == (found.kept, found.dropped, found.bytes_freed)
    assert 4 == found.unreadable
    assert 0o100604 == outbox.stat().st_mode
    assert b"kept" == os.getxattr(outbox, "user.tag")
    assert {"outbox.wal"} == names_in(root)
    again = await act(clients, files.compact, path="outbox.wal")
    assert (25, 0, 0) == (again.kept, again.dropped, again.bytes_freed)
    assert "0 lines dropped, 25 kept, 0 bytes freed, 4 that cannot be read" == again.brief()


async def test_the_names_of_the_fields_are_the_users(clients: Clients, root: Path) -> None:
    """Outboxes differ."""
    (root / "o").write_bytes(entries('{"key": 1, "at": 5, "ok": true}', '{"key": 2, "at": 5}'))

    found = await act(clients, files.compact, path="o", id_field="key", time_field="at", acked_field="ok")

    assert entries('{"key": 2, "at": 5}') == (root / "o").read_bytes()
    assert 1 == found.dropped


async def test_a_half_written_last_line_holds_its_entry(clients: Clients, root: Path) -> None:
    """Its writer may be about to say that the entry is open again."""
    content = entries('{"id": 1, "ts": 5, "acked": true}') + b'{"id": 1, "ts": 6}'
    (root / "o").write_bytes(content)

    await act(clients, files.compact, path="o")

    assert content == (root / "o").read_bytes()


async def test_an_outbox_that_a_writer_keeps_open_is_left_alone(
    clients: Clients, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on writing to the old file. (The patience of ten seconds is cut short here.)"""
    monkeypatch.setattr("remediator.clients.files.compaction._PATIENCE", 0.05)
    content = entries('{"id": 1, "ts": 5, "acked": true}')
    (root / "o").write_bytes(content)
    with (
        (root / "o").open("ab"),
        pytest.raises(Failed, match=r"kept open by a writer; nothing was done. Let the writer"),
    ):
        await act(clients, files.compact, path="o")

    assert content == (root / "o").read_bytes()
    assert {"o"} == names_in(root)


async def test_a_reader_does_not_keep_an_outbox_from_being_compacted(clients: Clients, root: Path) -> None:
    """The sender reads it all the time."""
    (root / "o").write_bytes(entries('{"id": 1, "ts": 5, "acked": true}'))
    with (root / "o").open("rb"):
        found = await act(clients, files.compact, path="o")

    assert (1, b"") == (found.dropped, (root / "o").read_bytes())
