# SPDX-License-Identifier: Apache-2.0
"""A file of events is read whole, and every wrong line is named."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import Event
from schemas.codec import decode_event, encode_event, publish
from schemas.jobs import JobStarted
from schemas.reasons import Rejection
from schemas.records import Origin, Published
from streams.intake import Accepted, Refused, intake
from streams.publish import (
    Problem,
    Reading,
    UnreadableFileError,
    event_id,
    read_events,
    read_file,
    to_line,
)
from streams.sources import SourceRule, SourceRules
from tests.schemas.samples import ID
from tests.schemas.strategies import publications, valid_events

SOURCE = "jobs.acme"
STARTED = "singlepool.job.started.v1"
GOOD = b'{"ce_type": "singlepool.job.started.v1", "data": {"job": "acme/train-7@1", "attempt": 1}}'


def read(text: bytes) -> Reading:
    return read_events(text, SOURCE)


def problem(text: bytes) -> str:
    """Return the one problem of a file whose first line is good and whose second is `text`."""
    reading = read(GOOD + b"\n" + text)
    assert len(reading.events) == 1
    (found,) = reading.problems
    assert found.line == 2
    return found.sentence


def test_a_line_is_an_event_as_an_upstream_would_publish_it() -> None:
    """Without an id of its own an event is named by its content, and the source is the caller's."""
    (event,) = read(GOOD).events
    payload = encode_event(JobStarted(ID, 1))
    assert event == Published(STARTED, payload, Origin(event_id(STARTED, payload), SOURCE))
    assert read(GOOD + b"\r\n\n" + GOOD + b"\n").events == (event, event)


def test_attributes_that_are_given_are_kept() -> None:
    """All CloudEvents attributes may be said, and then nothing replaces them."""
    origin = Origin("e-1", "elsewhere", ID, "2026-01-01T00:00:00Z", "c-1", "c-2")
    (event,) = read(to_line(publish(JobStarted(ID, 1), origin))).events
    assert event.origin == origin


@given(st.lists(valid_events(), max_size=5))
def test_lines_and_arrays_say_the_same(events: list[Event]) -> None:
    """What `to_line` writes is read back, one a line or in an array, in order."""
    origin = Origin("e-1", SOURCE)
    lines = [to_line(publish(event, origin)) for event in events]
    expected = tuple(publish(event, origin) for event in events)
    assert read(b"\n".join(lines)) == Reading(expected, ())
    assert read(b" [\n" + b",\n".join(lines) + b"\n]\n") == Reading(expected, ())


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "not JSON: Input data was truncated"),
        (b"\xff", "not JSON: "),
        (b'"\xed\xa0\x80"', "not JSON: "),
        (b"7", "data is 7: must be an object with ce_type and data"),
        (b"{}", "ce_type is empty: must be there"),
        (b'{"ce_typ": "x"}', "ce_typ is x: there is no such attribute; did you mean ce_type?"),
        (b'{"ce_type": 7, "data": {}}', "ce_type is 7: must be text"),
        (b'{"ce_type": "x"}', "data is empty: must be there, or payload instead of it"),
        (b'{"ce_type": "x", "data": {}, "payload": ""}', "data is empty: must be there, or"),
        (b'{"ce_type": "x", "payload": "!"}', "payload is !: must be bytes in base64"),
        (
            b'{"ce_type": "singlepool.job.startd.v1", "data": {}}',
            "ce_type 'singlepool.job.startd.v1' is not in contract v1; did you mean " + STARTED,
        ),
        (GOOD.replace(b"attempt", b"atempt"), f"{STARTED}: atempt is 1: there is no such field"),
        (GOOD.replace(b"1}}", b'"x"}}'), f"{STARTED}: attempt is x: must be an integer"),
        (GOOD.replace(b"1}}", b"0}}"), "attempt is 0: must be 1 to "),
        (GOOD.replace(b"1}}", b'1}, "ce_id": 7}'), f"{STARTED}: ce_id is 7: must be text"),
        (
            b'{"ce_type": "singlepool.decision.stop_ordered.v1", "data": {}}',
            "decisions come from the engine alone",
        ),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(line: bytes, sentence: str) -> None:
    """A line that is no JSON, no event, or no valid event says so, and others are still read."""
    assert sentence in problem(line)


def test_every_wrong_line_is_named() -> None:
    """One mistake does not hide the next."""
    reading = read(b"\n".join([b"{", GOOD, b"", b"7", GOOD, b"[]"]))
    assert [found.line for found in reading.problems] == [1, 4, 6]
    assert len(reading.events) == 2


def test_an_element_of_an_array_is_named_by_the_line_on_which_it_begins() -> None:
    """Elements may take several lines, and several one."""
    text = b"[\n" + GOOD + b",\n\n{\n}, 7,\n" + GOOD + b"8]"
    assert [found.line for found in read(text).problems] == [6]
    reading = read(text.replace(b"8]", b"]"))
    assert [found.line for found in reading.problems] == [4, 5]
    assert len(reading.events) == 2


@given(st.binary() | st.binary().map(lambda tail: b"[" + tail))
def test_any_file_is_read(text: bytes) -> None:
    """Whatever a file holds is events and problems, never an error."""
    lines = text.count(b"\n") + 1
    assert all(1 <= found.line <= lines for found in read(text).problems)


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    """JSON deeper than the parser goes is refused like any other damage."""
    for text in (b"[" * 100_000, b'{"a":' * 100_000):
        assert len(read(text).problems) == 1


@given(publications())
def test_a_refused_event_can_be_written_down_mended_and_read(published: Published) -> None:
    """The line of any event, however wrong, is refused for the same reason when it is read."""
    reading = read(to_line(published))
    judged = intake(published)
    assert bool(reading.problems) is isinstance(judged, Refused)
    if isinstance(judged, Accepted):
        assert decode_event(published.ce_type, reading.events[0].payload) == judged.event


def test_a_source_is_held_to_its_rules() -> None:
    """A dry run says what intake would say, by the rules that intake has."""
    fleet_only = SourceRules({SOURCE: SourceRule(frozenset())})
    (found,) = read_events(GOOD, SOURCE, fleet_only).problems
    assert "may publish nothing" in found.sentence


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    """A file that is not there is the caller's error, and says which it is."""
    path = tmp_path / "events.ndjson"
    with pytest.raises(UnreadableFileError, match=r"events\.ndjson cannot be read: No such file"):
        read_file(path, SOURCE)
    path.write_bytes(GOOD + b"\n{")
    reading = read_file(path, SOURCE)
    assert len(reading.events) == 1
    assert reading.problems == (Problem(2, "not JSON: Input data was truncated"),)


HOW_TO = Path(__file__).parents[2] / "docs" / "events-how-to.md"


def test_the_example_in_the_documents_is_read() -> None:
    """What a newcomer copies works."""
    (example,) = re.findall(r"```json\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    reading = read(example.encode())
    assert len(reading.events) == 2
    assert not reading.problems


def test_the_documents_name_every_reason_and_each_sentence_as_it_is() -> None:
    """The table of refusals is complete, and the sentences shown are those that are said."""
    text = HOW_TO.read_text()
    section = text.partition("## Refused")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == sorted(Rejection)
    worker_min = b'{"ce_type": "singlepool.job.submitted.v1", "data": {"job": {"worker_min": 1}}}'
    for line in (GOOD.replace(b"1}}", b"0}}"), worker_min):
        assert problem(line) in text


def test_ids_made_from_content_differ_with_it() -> None:
    """Type and payload both count, so that nothing else gets the same id."""
    ids = {event_id(*pair) for pair in (("a", b"b"), ("a", b"c"), ("b", b"b"), ("ab", b""))}
    assert len(ids) == 4
