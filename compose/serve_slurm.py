# SPDX-License-Identifier: Apache-2.0
"""`singlepool serve slurm`: Slurm as an upstream, by the records of its jobcomp/kafka plugin."""

from pathlib import Path

from compose.health_shown import HealthPortNumber, health_shown
from compose.installation import HERE, Where
from streams.adapters.slurm_file import read_demand
from streams.adapters.slurm_host import SlurmEnds, SlurmHost
from streams.kafka.connection import Connection, Security
from streams.kafka.topics import ANYBODY, INTAKE, TrustDomain
from streams.live.ports import SystemClock
from streams.live.process import json_log, told_to_stop
from streams.live.vitals import Vitals

_NAME = "slurm"


def serve_slurm(
    *,
    topic: str,
    where: Where = HERE,
    domain: str = ANYBODY.name,
    demand: Path | None = None,
    refusing: Path | None = None,
    health_port: HealthPortNumber = None,
) -> None:
    """Publish what Slurm's jobcomp/kafka plugin says of jobs, as a trust domain.

    A record that stands for no event is refused with its reason: singlepool rejected list.

    Example: singlepool serve slurm --topic slurm.jobs --domain batch --health-port 8084

    Parameters
    ----------
    topic
        where the plugin publishes; Slurm's own, and none of the declared topics.
    domain
        the trust domain to publish as.
    demand
        TOML with what Slurm's names mean here; without it jobs of Slurm's own are refused.
    refusing
        the folder with intake's certificate, where --certificates names the domain's.
    health_port
        shows /healthz, /readyz and /metrics; 0 takes a free one, none without.
    """
    meant = None if demand is None else read_demand(demand)
    publishing = where.connection(TrustDomain(domain).principal)
    keeping = where.connection(INTAKE)
    if refusing is not None:
        keeping = Connection(keeping.bootstrap, Security(str(refusing)))
    log = json_log().bind(process=_NAME)
    vitals = Vitals(_NAME, SystemClock())
    with told_to_stop() as told, health_shown(vitals, health_port):
        host = SlurmHost(SlurmEnds(publishing, keeping, where.topology(), domain, topic), meant)
        log.info("taking in", topic=topic, domain=domain)

        def stop() -> bool:
            figures = {"published_events": host.published, "refused_records": host.refused}
            vitals.touch(ready=True, **figures)
            return told.is_set()

        host.run(stop)
        log.info("left", published=host.published, refused=host.refused)
