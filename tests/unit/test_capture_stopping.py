"""Why capture stopped stands in the log, where the sink reads it; what passes by itself does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from capture.stopping import told
from shared.errors import BadInput, Hold, LeaseLost, Refused, Retry, SchemaChanged, SwitchbackError
from shared.log.embedded import EmbeddedLog
from shared.reports import read_stopped


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        yield log


@pytest.mark.parametrize(
    ("error", "label"),
    [
        (SchemaChanged("a migration"), "schema_changed"),
        (Hold("a row"), "hold"),
        (BadInput("other tables"), "bad_input"),
        (Retry("a server is away"), ""),
        (Refused("a password is being changed"), ""),
        (LeaseLost("another capture works"), ""),
    ],
)
def test_what_does_not_pass_by_itself_is_told(log: EmbeddedLog, error: SwitchbackError, label: str) -> None:
    with pytest.raises(type(error)), told(log):
        raise error
    assert read_stopped(log) == label
