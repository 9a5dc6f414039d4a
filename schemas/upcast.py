# SPDX-License-Identifier: Apache-2.0
"""Old event versions brought up to the current one.

An upcaster is a pure function from the payload of an old version to an event of the current domain
type. A version is never removed from here, since ledgers keep old records for ever. Contract v1 is
the first, so there is none yet.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from schemas.catalogue import Event

Upcaster = Callable[[bytes], Event]

UPCASTERS: Mapping[str, Upcaster] = MappingProxyType({})
"""Old `ce_type` to the function that reads it."""
