# SPDX-License-Identifier: Apache-2.0
"""What a consumer says in place of a record, and whether it goes on by itself then."""

import pytest
from confluent_kafka import KafkaError

from streams.kafka.partition import goes_on


@pytest.mark.parametrize(
    ("code", "by_itself"),
    [
        (KafkaError._ALL_BROKERS_DOWN, True),  # noqa: SLF001  # the client's own name
        (KafkaError._TRANSPORT, True),  # noqa: SLF001  # as above
        (KafkaError.LEADER_NOT_AVAILABLE, True),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, False),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, False),
        (KafkaError.OFFSET_OUT_OF_RANGE, False),
    ],
)
def test_a_reader_outlasts_a_broker_that_is_away_and_nothing_else(
    code: int, *, by_itself: bool
) -> None:
    """The client says of none of them that they may be retried, so that its word is not enough."""
    error = KafkaError(code)
    assert not error.retriable()
    assert goes_on(error) is by_itself
