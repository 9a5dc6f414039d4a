# SPDX-License-Identifier: Apache-2.0
"""What every test stands on: property tests that draw the same examples on every machine.

`make test` uses the quick profile, `make long` the long one. Neither has a deadline, because the
machine's mood is no property of the code, and neither keeps a database, because a failure must be
found again from the source alone.
"""

from hypothesis import settings

settings.register_profile(
    "quick", max_examples=50, derandomize=True, deadline=None, database=None, print_blob=True
)
settings.register_profile("long", parent=settings.get_profile("quick"), max_examples=2_000)
settings.load_profile("quick")
