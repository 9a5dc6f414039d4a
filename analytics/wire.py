# SPDX-License-Identifier: Apache-2.0
# pyright: basic
# pyarrow ships no types, so strict mode knows nothing here.
"""Wire bytes read straight into Arrow by ptars, and what they make when written again.

ptars is young, so nothing that it read is to be believed unless it writes the very same bytes.
"""

from typing import Any, NamedTuple

import pyarrow as pa
from ptars import HandlerPool

from schemas.catalogue import CATALOGUE
from schemas.codec import RECORD_DESCRIPTOR, descriptor_of

_DESCRIPTORS = (RECORD_DESCRIPTOR, *(descriptor_of(entry.event) for entry in CATALOGUE))
_HANDLERS = HandlerPool([descriptor.file for descriptor in _DESCRIPTORS])


class Messages(NamedTuple):
    """Messages as columns, one per field, and the bytes that they make, one per message."""

    fields: pa.RecordBatch
    again: pa.Array


def read(descriptor: Any, data: pa.Array) -> Messages | None:  # noqa: ANN401  # protobuf's, which only schemas names
    """Return the messages in an array of bytes; None where one of them is damaged."""
    handler = _HANDLERS.get_for_message(descriptor)
    try:
        fields = handler.array_to_record_batch(data)
    except ValueError:
        return None
    return Messages(fields, handler.record_batch_to_array(fields))


def schema_of(descriptor: Any) -> pa.Schema:  # noqa: ANN401  # as above
    """Return the schema that a message's columns have."""
    return _HANDLERS.get_for_message(descriptor).schema()
