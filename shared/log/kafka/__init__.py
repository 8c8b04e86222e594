"""The log in Apache Kafka.  The only modules, with ``sink.topics``, that import its client.

The client (kafka-python) has no type information, and its defaults are unsafe here: it commits offsets by
itself, jumps to the end where an offset is gone, and makes topics on demand.  ``clients`` turns all of that off.
"""

from __future__ import annotations

from shared.log.kafka.log import KafkaLog, try_kafka

__all__ = ["KafkaLog", "try_kafka"]
