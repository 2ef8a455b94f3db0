"""From a recorded denial to its receiver: what comes there, in which order, and what does not."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from scopebound_engine import webhook
from scopebound_engine.database.engine import reading
from scopebound_engine.database.log_tables import decisions
from scopebound_engine.database.webhook_tables import webhook_outbox, webhook_repeats
from scopebound_engine.role.fields import RoleChanges
from scopebound_engine.times import moment, timestamp
from tests.webhook.delivering import SECRET, Node, closed_port, local_poster
from tests.webhook.receivers import Receiver, receiving
from tests.webhook.test_webhook_signing import verify


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def node(database: Engine, tmp_path: Path) -> Iterator[Node]:
    made = Node(database, tmp_path)
    yield made
    made.delivery.close(5)


def test_a_denial_comes_as_the_reference_says_and_signed(node: Node, receiver: Receiver) -> None:
    role = node.role(receiver.url("/webhooks/scopebound?a=b"))
    record = node.denial(role)
    node.journal.append(record)
    node.shipper.run()
    node.deliver()
    (received,) = receiver.received
    assert received.path == "/webhooks/scopebound?a=b"
    assert received.payload == {
        "event": "deny",
        "deny_code": "SCOPE_VIOLATION",
        "severity": "medium",
        "tool_name": "delete_invoice",
        "agent_id": f"agent:{role.id}",
        "role": role.name,
        "session_id": "session-1",
        "reason": 'tool "delete_invoice" is not in allowed_tools',
        "timestamp": timestamp(moment(record["at_us"] / 1_000_000)),
    }
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["webhook-id"] == record["id"]
    assert verify(SECRET, received.body, received.headers["X-Scopebound-Signature"])
    assert webhook.verify(SECRET, received.body, received.headers)


def test_a_failure_is_tried_once_more(node: Node, receiver: Receiver) -> None:
    receiver.statuses = [500]
    node.deny(node.role(receiver.url()))
    node.deliver()
    first, second = receiver.received
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert node.queue.dead_letters(10) == []


def test_what_fails_twice_is_a_dead_letter_and_can_be_tried_again(
    node: Node, receiver: Receiver
) -> None:
    receiver.statuses = [500, 503]
    role = node.role(receiver.url())
    node.deny(role)
    node.deliver()
    (letter,) = node.queue.dead_letters(10)
    assert (letter.attempts, letter.error, letter.role_id) == (2, "it answered 503", role.id)
    assert letter.payload == receiver.received[0].body
    assert node.queue.retry(letter.id) == role.id
    node.deliver()
    assert len(receiver.received) == 3
    assert node.queue.dead_letters(10) == []


def test_a_role_s_denials_come_in_their_order_whatever_fails(
    node: Node, receiver: Receiver
) -> None:
    receiver.statuses = [204, 204, 500]
    role = node.role(receiver.url())
    node.deny(role, 10)
    node.deliver()
    sessions = [one.payload["session_id"] for one in receiver.received]
    assert sessions == [f"session-{number}" for number in (1, 2, 3, 3, *range(4, 11))]


def test_identical_denials_are_joined_after_the_second(node: Node, receiver: Receiver) -> None:
    role = node.role(receiver.url())
    node.deny(role, 4, session={"id": "one"})
    node.deny(role, 3, session={"id": "one"})
    node.deny(role, 1, session={"id": "one"}, tool_name="another_tool")
    node.deliver_until(lambda: node.queue.pending() == 1)
    assert ["count" in one.payload for one in receiver.await_count(3)] == [False] * 3
    node.clock.ahead = 61
    node.deny(role, 1, session={"id": "one"})
    node.deliver()
    payloads = [one.payload for one in receiver.received]
    assert [one.get("count") for one in payloads] == [None, None, None, 5, None]
    assert payloads[3]["session_id"] == "one"


def test_what_comes_after_the_joined_ones_were_sent_is_sent_for_itself(
    node: Node, receiver: Receiver
) -> None:
    role, began = node.role(receiver.url()), int(node.clock() * 1_000_000)
    node.deny(role, 3, session={"id": "one"}, at_us=began)
    node.clock.ahead = 61
    node.deliver()
    node.deny(role, 2, session={"id": "one"}, at_us=began + 59_000_000)
    node.deliver()
    assert [one.payload.get("count") for one in receiver.received] == [None, None, 1, 2]


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "tool_call.allow"},
        {"event": "tool_call.replay"},
        {"event": "request.refused"},
        {"role": None, "deny_code": "JWT_INVALID"},
        {"at_us": 1_777_482_800_000_000},
    ],
)
def test_of_these_nobody_is_told(
    database: Engine, node: Node, receiver: Receiver, fields: dict[str, object]
) -> None:
    role = node.role(receiver.url())
    node.deny(role, **fields)
    node.deny(node.role(""))
    assert node.queue.pending() == 0
    with reading(database) as connection:
        assert len(connection.execute(select(decisions)).all()) == 2


def test_mcp_denials_are_told_of_and_odd_texts_hold_nothing_up(
    node: Node, receiver: Receiver
) -> None:
    role = node.role(receiver.url())
    line = node.journal.compose(node.denial(role, event="mcp_tool_call.deny", tool_name="ODD"))
    node.journal.write(line.replace(b"ODD", rb"\ud800\u0000"))
    node.deny(role, tool_name=7, violations="none", agent=None, deny_code="é" * 5_000)
    node.deliver()
    first, second = (one.payload for one in receiver.received)
    assert first["tool_name"] == "?\0"
    assert (second["tool_name"], second["reason"], second["agent_id"]) == ("", "", "")
    assert second["deny_code"] == "é" * 1_000


def test_the_receiver_is_that_of_the_time_of_delivery(node: Node, receiver: Receiver) -> None:
    role = node.role(f"http://127.0.0.1:{closed_port()}/")
    node.deny(role, 2)
    changes = {"webhook_url": receiver.url("/new"), "webhook_secret": "another-secret-of-one"}
    node.roles.update(role.id, RoleChanges.model_validate(changes))
    node.deliver()
    assert [one.path for one in receiver.received] == ["/new", "/new"]
    assert webhook.verify(
        "another-secret-of-one", receiver.received[0].body, receiver.received[0].headers
    )


@pytest.mark.parametrize("is_deleted", [False, True])
def test_what_waits_for_a_role_without_receiver_is_dropped(
    node: Node, receiver: Receiver, is_deleted: bool
) -> None:
    role = node.role(receiver.url())
    node.deny(role, 3)
    if is_deleted:
        node.roles.delete(role.id)
    else:
        node.roles.update(role.id, RoleChanges.model_validate({"webhook_url": ""}))
    node.deliver()
    assert receiver.received == []
    assert node.queue.dead_letters(10) == []


def test_receivers_that_hang_do_not_hold_up_others(database: Engine, tmp_path: Path) -> None:
    node = Node(database, tmp_path, poster=local_poster(seconds=1.0), attempts=1)
    with receiving() as slow, receiving() as quick:
        slow.answer = lambda _handler: time.sleep(30)
        for _ in range(40):
            node.deny(node.role(slow.url()), 2)
        good = node.role(quick.url())
        node.deny(good, 20)
        began = time.monotonic()
        node.deliver_until(lambda: len(quick.received) == 20)
        # All threads are once with those that hang, and then never all of them again.
        assert time.monotonic() - began < 5
        node.deny(good, 5)
        node.deliver_until(lambda: len(quick.received) == 25, 5)
        node.delivery.close(5)


def test_a_webhook_whose_sender_was_killed_comes_again_with_its_id(
    node: Node, receiver: Receiver
) -> None:
    """What a kill leaves: a message in hand, delivered or not, and no note of it."""
    role = node.role(receiver.url())
    node.deny(role, 2)
    taken = node.queue.next(role.id)
    assert taken is not None
    assert node.queue.due() == []
    node.clock.ahead = 31
    node.deliver()
    assert receiver.received[0].headers["webhook-id"] == taken.id
    assert len(receiver.received) == 2


def test_what_waits_is_counted_given_up_after_a_day_and_forgotten(
    database: Engine, node: Node
) -> None:
    role = node.role(f"http://127.0.0.1:{closed_port()}/")
    node.deny(role, 3)
    assert node.queue.pending() == 3
    assert 0 <= node.queue.oldest_seconds() < 10
    node.clock.ahead = 3_600
    assert 3_600 <= node.queue.oldest_seconds() < 3_700
    node.clock.ahead = 86_500
    node.queue.tidy(kept_days=30)
    assert (node.queue.pending(), node.queue.oldest_seconds()) == (0, 0)
    errors = {letter.error for letter in node.queue.dead_letters(10)}
    assert errors == {"it could not be delivered within a day"}
    assert [letter.number for letter in node.queue.dead_letters(2)] == [3, 2]
    assert [letter.number for letter in node.queue.dead_letters(2, before=2)] == [1]
    node.clock.ahead = 32 * 86_400
    node.queue.tidy(kept_days=30)
    with reading(database) as connection:
        assert connection.execute(select(webhook_outbox)).all() == []
        assert connection.execute(select(webhook_repeats)).all() == []


def test_no_secret_is_stored_beside_the_payload(database: Engine, node: Node) -> None:
    node.deny(node.role(f"http://127.0.0.1:{closed_port()}/"))
    node.deliver()
    with reading(database) as connection:
        rows = str(connection.execute(select(webhook_outbox)).all())
    assert "delete_invoice" in rows
    assert "refused" in rows
    assert SECRET not in rows
