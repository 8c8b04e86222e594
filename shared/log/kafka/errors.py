"""The door through which the client's errors pass: what the caller should do about each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors

from shared.errors import BadInput, Refused, Retry, SpineBroken, Stop, SwitchbackError

BROKEN = (errors.OffsetOutOfRangeError, errors.LogTruncationError, errors.NoOffsetForPartitionError)
_REFUSED = (
    errors.AuthorizationError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.SecurityDisabledError,
)
_WRONG = (
    errors.KafkaConfigurationError,
    errors.InvalidTopicError,
    errors.InvalidReplicationFactorError,
    errors.InvalidConfigurationError,
    errors.PolicyViolationError,
    errors.UnsupportedVersionError,
)
_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
_UNREADABLE = (errors.CorruptRecordError, errors.UnsupportedCodecError)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise the client's errors as ours; ``where`` names the broker or the topic."""
    try:
        yield
    except errors.KafkaError as error:
        raise _ours(error, where) from error
    except (ValueError, OSError, RuntimeError) as error:  # a topic without partitions, a loop that was closed, ...
        raise Retry(f"the broker's client failed: {error}", where=where) from error


def _ours(error: Exception, where: str) -> SwitchbackError:
    text = str(error) or type(error).__name__
    if isinstance(error, BROKEN):
        return SpineBroken(f"the log no longer holds what follows: {text}", where=where)
    if isinstance(error, errors.SaslAuthenticationFailedError):
        remedy = "Correct sasl_user or its password; where that stands in a file, a daemon that runs reads it anew"
        return Refused(f"the broker refuses: {text}", where=where, remedy=remedy)
    if isinstance(error, _REFUSED):
        remedy = "Check the [kafka] settings, and what the broker allows this user"
        return BadInput(f"the broker refuses: {text}", where=where, remedy=remedy)
    if isinstance(error, _WRONG):
        return BadInput(f"the broker will not do that: {text}", where=where)
    if isinstance(error, _TOO_LARGE):
        remedy = "Set the topic's max.message.bytes to 1048588, Kafka's default, or more"
        return Stop(f"the broker takes no record of that size: {text}", where=where, remedy=remedy)
    if isinstance(error, _UNREADABLE):
        remedy = "Somebody else wrote there, or a disk is damaged: look at it with Kafka's own tools"
        return Stop(f"a record cannot be read: {text}", where=where, remedy=remedy)
    return Retry(f"the broker cannot be reached or is busy: {text}", where=where)
