# SPDX-License-Identifier: Apache-2.0
"""What the Philly trace does not say, derived from a job's id by one rule.

The SHA-256 of the job's id (`philly/job-01019@1`) is read as big-endian 4-byte numbers:

- number 0 modulo 100: the tier, below 30 premium, below 60 standard, else basic;
- number 1 modulo 4: the checkpoint per GPU, 2, 4, 8 or 16 GiB (a P100 holds 16);
- number 2 modulo 100, for gangs of at least 4 GPUs that are not premium: below 50 elastic, from
  half the trace's GPUs to all of them, so that nobody ever gets more than the trace asked.

The rule looks at nothing else, so a job is the same in every window, mode and run.
"""

from hashlib import sha256

from msgspec import Struct

from schemas.ids import JobId
from schemas.kinds import Tier

PREMIUM_PERCENT = 30
STANDARD_PERCENT = 30
ELASTIC_PERCENT = 50
ELASTIC_FROM_GPUS = 4
CHECKPOINT_MIB_PER_GPU = (2_048, 4_096, 8_192, 16_384)


class Derived(Struct, frozen=True):
    """What a job is given beside what the trace says of it."""

    tier: Tier
    workers_min: int
    checkpoint_mib: int


def derive(job: JobId, gpus: int) -> Derived:
    """Return the tier, least number of workers and whole gang's checkpoint size of a job."""
    digest = sha256(job.encode()).digest()
    numbers = [int.from_bytes(digest[i : i + 4]) for i in (0, 4, 8)]
    tier = _tier(numbers[0] % 100)
    per_gpu = CHECKPOINT_MIB_PER_GPU[numbers[1] % len(CHECKPOINT_MIB_PER_GPU)]
    may_stretch = gpus >= ELASTIC_FROM_GPUS and tier is not Tier.PREMIUM
    elastic = may_stretch and numbers[2] % 100 < ELASTIC_PERCENT
    return Derived(tier, -(-gpus // 2) if elastic else gpus, per_gpu * gpus)


def _tier(percentile: int) -> Tier:
    if percentile < PREMIUM_PERCENT:
        return Tier.PREMIUM
    if percentile < PREMIUM_PERCENT + STANDARD_PERCENT:
        return Tier.STANDARD
    return Tier.BASIC
