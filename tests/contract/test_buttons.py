"""Buttons in the chat: what the store keeps of them, and that the questions they stand in are told first."""

import hashlib
from dataclasses import replace
from datetime import timedelta

from remediator.model.ids import Digest, RuleId, RunId
from remediator.model.message import Choice, Message, Post, Text, Tone
from remediator.storage.buttons import Button, OpenQuestions, Pressed
from remediator.storage.retention import Retention
from remediator.storage.runs import Claim, Entry
from remediator.storage.store import Store
from tests.contract.opening import ENDED, T0, open_run, resolve

KEY = "asked.round.1.1"


def button(post: int, token: str = "approve", run: str = "r1", *, approves: bool = True) -> Button:
    digest = hashlib.sha256(token.encode()).digest()
    return Button(digest, RunId(run), 1, 2, Digest("e" * 64), approves, post, T0)


async def ask(store: Store, claim: Claim, *before: str) -> int:
    """Queue the card of a question, and other replies before it; the card's place in the outbox."""
    posts = [Post(key, Message(Tone.NEUTRAL, key)) for key in (*before, KEY)]
    await store.learn(claim, Entry((), posts))
    return next(post.seq for post in await store.waiting_posts(50) if (post.run, post.key) == (claim.run, KEY))


async def test_a_button_is_found_by_the_digest_of_its_token_with_the_place_of_its_message(store: Store) -> None:
    """Who presses it is believed only in that very message; as long as it stands nowhere there is no place."""
    post = await ask(store, await open_run(store))
    made = button(post), button(post, "deny", approves=False)
    await store.keep_buttons(made)

    assert [Pressed(one, None) for one in made] == [await store.find_button(one.digest) for one in made]

    await store.note_sent(post, 1, "C1:1.0")

    assert [Pressed(one, "C1:1.0") for one in made] == [await store.find_button(one.digest) for one in made]


async def test_an_unknown_button_is_none(store: Store) -> None:
    """A token that was made up decides nothing."""
    await store.keep_buttons([button(await ask(store, await open_run(store)))])

    assert await store.find_button(hashlib.sha256(b"made up").digest()) is None


async def test_older_buttons_of_a_message_stay_good(store: Store) -> None:
    """An edit that has not landed leaves people with the earlier ones."""
    post = await ask(store, await open_run(store))
    first, second = button(post, "first"), button(post, "second")
    await store.keep_buttons([first])
    await store.keep_buttons([second])

    assert [first, second] == [
        found.button for one in (first, second) if (found := await store.find_button(one.digest)) is not None
    ]


async def test_buttons_go_with_their_run(store: Store) -> None:
    """They are of no use any more, and must not be what keeps a run for ever."""
    claim = await open_run(store)
    made = button(await ask(store, claim))
    await store.keep_buttons([made])
    for post in await store.waiting_posts(10):
        await store.note_sent(post.seq, post.version, f"C1:{post.seq}.0")
    await resolve(store, "r1")
    read = replace(claim, signals_read=len(await store.read_signals(claim.run)))
    await store.end(read, Entry([ENDED]), ENDED, keep_locks_until=None)

    gone = await store.forget(Retention(T0 + timedelta(days=1), 100, T0 + timedelta(days=1)), limit=10)

    assert 1 == gone.runs
    assert await store.find_button(made.digest) is None
    await store.keep_buttons([made])
    assert await store.find_button(made.digest) is None


async def next_key(store: Store) -> str:
    """Send what is next; which it was."""
    post = await store.next_post(resting=(), busy=(), passed=())
    assert post is not None
    await store.note_sent(post.seq, post.version, f"C1:{post.seq}.0")
    return f"{post.run}/{post.key}"


async def test_threads_in_which_a_question_waits_go_first_as_far_as_the_question(store: Store) -> None:
    """In a storm thousands of messages wait, and a plan waits for people: they must hear of it first."""
    other = await open_run(store, "r1")
    await store.learn(other, Entry((), [Post("evidence", Message(Tone.NEUTRAL, "seen"))]))
    asking = await open_run(store, "r2")
    await ask(store, asking, "plan")
    await store.learn(asking, Entry((), [Post("later", Message(Tone.NEUTRAL, "later"))]))
    await store.notify("#c", "rules", Message(Tone.BAD, "the rules are wrong"), T0)

    assert [
        "None/rules",
        "r2/parent",
        "r2/plan",
        f"r2/{KEY}",
        "r1/parent",
        "r1/evidence",
        "r2/later",
    ] == [await next_key(store) for _ in range(7)]


async def test_what_became_of_a_question_goes_first_as_well(store: Store) -> None:
    """Buttons that are of no use any more must not stand there until a storm is told."""
    asking = await open_run(store, "r2")
    await ask(store, asking)
    for _ in range(2):
        await next_key(store)
    await open_run(store, "r1")
    await store.learn(asking, Entry((), [Post(KEY, Message(Tone.NEUTRAL, "approved"))]))

    assert [f"r2/{KEY}", "r1/parent"] == [await next_key(store) for _ in range(2)]


async def test_open_questions_are_counted_by_rule_and_channel(store: Store) -> None:
    """Cards that are closed, and texts that only look like a choice, are none."""
    choice = Choice(RunId("r1"), 1, 1, Digest("e" * 64))
    for run in ("r1", "r2", "r3"):
        claim = await open_run(store, run)
        card = Message(Tone.WAITING, '"choice":{"run":', (Text('"choice":{"run":"r1"}'),))
        posts = [Post(KEY, replace(card, choice=choice if run != "r3" else None)), Post("plan", card)]
        await store.learn(claim, Entry((), posts))

    assert (OpenQuestions(RuleId("p/r"), "#c", 2),) == await store.open_questions()


async def test_a_card_without_a_choice_is_sent_again(store: Store) -> None:
    """Somebody has pressed a button in it, so that what stands there is older than what was sent last."""
    claim = await open_run(store)
    post = await ask(store, claim)
    await store.send_again(post)
    unsent = await versions(store, post)
    for sent in await store.waiting_posts(50):
        await store.note_sent(sent.seq, sent.version, f"C1:{sent.seq}.0")
    await store.send_again(post)
    once = await versions(store, post)
    await store.send_again(post)
    twice = await versions(store, post)
    await store.note_sent(post, 2, f"C1:{post}.0")

    assert [1] == unsent  # it is to be sent anyway
    assert ([2], [2]) == (once, twice)
    assert [] == await versions(store, post)


async def test_a_card_that_puts_a_choice_to_people_is_not_sent_again(store: Store) -> None:
    """Its buttons are good, and every edit makes new ones."""
    claim = await open_run(store)
    choice = Choice(RunId("r1"), 1, 1, Digest("e" * 64), "")
    await store.learn(claim, Entry((), [Post(KEY, Message(Tone.WAITING, "may it?", choice=choice))]))
    for sent in await store.waiting_posts(50):
        await store.note_sent(sent.seq, sent.version, f"C1:{sent.seq}.0")
        await store.send_again(sent.seq)

    assert ["parent"] == [post.key for post in await store.waiting_posts(50)]


async def versions(store: Store, post: int) -> list[int]:
    """The newest version of a post, where it waits to be sent."""
    return [one.version for one in await store.waiting_posts(50) if one.seq == post]
