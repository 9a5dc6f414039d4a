# SPDX-License-Identifier: Apache-2.0
"""Intake: from what somebody published to what the engine may judge.

`judging` says of one event whether its bytes, source and values are in order; every carrier asks
it. `reducer` adds what only a stream can say: it folds raw events into those that the engine takes.
The reducer is pure, and has two hosts: `faust_host` is a stock Faust agent, `batched` a loop around
Kafka's own client. `docs/intake.md` states the rules of both.

Only the judging is offered here, so that an embedded engine never loads a client of a broker.
"""

from streams.intake.judging import (
    MAX_PAYLOAD_BYTES,
    Accepted,
    Refused,
    TakenIn,
    decode_refused,
    encode_refused,
    intake,
    take_in,
)

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "Accepted",
    "Refused",
    "TakenIn",
    "decode_refused",
    "encode_refused",
    "intake",
    "take_in",
]
