"""Slack's stand-in as a process of its own, which writes down every message before it answers.

`python -m tests.crash.chat FOLDER`; it says on its standard output where it is, and what its channel's id is.
"""

import asyncio
import json
import sys
from pathlib import Path

from remediator.testing.slack import SlackStandIn, StoredMessage
from tests.crash import journal


def mark_of(message: StoredMessage) -> str:
    return str(message.metadata["event_payload"]["mark"])


async def main(folder: Path) -> None:
    def write_down(message: StoredMessage) -> None:
        journal.note(
            folder / "chat.jsonl",
            mark=mark_of(message),
            ts=message.ts,
            thread=message.thread_ts,
            edit=len(message.edits),
            text=message.text,
        )

    async with SlackStandIn(on_message=write_down) as slack:
        said = {"base_url": slack.base_url, "token": slack.token, "channel": slack.channel_id("alerts")}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)  # until whoever started it has gone


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
