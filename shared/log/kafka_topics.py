"""What the topics must be like, so that they lose nothing that is still needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType

from shared.errors import BadInput

_FRAME_BYTES = 1_000_000
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class TopicRules:
    """How long the spine is kept at the least, and on how many brokers (0: three, or as many as there are)."""

    retention_ms: int
    replication: int

    def options(self, role: str, brokers: int) -> dict[str, Any]:
        """How to make the topic of that role."""
        replicas = self.replication or min(3, brokers)
        configs = {"min.insync.replicas": str(max(1, replicas - 1)), "unclean.leader.election.enable": "false"}
        if role == "progress":
            configs |= {"cleanup.policy": "compact", "segment.ms": str(_HOUR_MS)}
        else:
            configs |= {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms), "retention.bytes": "-1"}
        return {"num_partitions": 1, "replication_factor": replicas, "configs": configs}


def check_topic(admin: Any, role: str, name: str, rules: TopicRules) -> None:  # noqa: ANN401  (no types there)
    """Raise BadInput where a topic that is there would lose or tear groups."""
    partitions = len(admin.describe_topics([name])[0]["partitions"])
    if partitions != 1:
        what = f"the topic has {partitions} partitions; the order of the history needs exactly 1"
        raise BadInput(what, where=f"topic {name}", remedy="Delete it, or choose another stream name")
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    found = admin.describe_configs([resource], config_filter="all")["topic"][name]
    value = {setting: found[setting]["value"] for setting in found}
    if role == "progress":
        _require(name, "cleanup.policy", value["cleanup.policy"], "compact", fits="compact" in value["cleanup.policy"])
        return
    kept, size, largest = (int(value[s]) for s in ("retention.ms", "retention.bytes", "max.message.bytes"))
    wanted = rules.retention_ms
    _require(name, "cleanup.policy", value["cleanup.policy"], "delete", fits=value["cleanup.policy"] == "delete")
    _require(name, "retention.ms", kept, wanted, fits=kept < 0 or kept >= wanted)
    _require(name, "retention.bytes", size, -1, fits=size < 0)
    _require(name, "max.message.bytes", largest, _FRAME_BYTES, fits=largest >= _FRAME_BYTES)


def _require(topic: str, setting: str, found: object, wanted: object, *, fits: bool) -> None:
    if fits:
        return
    remedy = f"Run kafka-configs --alter --topic {topic} --add-config {setting}={wanted}"
    raise BadInput(f"the topic's {setting} is {found}; it must be {wanted}", where=f"topic {topic}", remedy=remedy)
