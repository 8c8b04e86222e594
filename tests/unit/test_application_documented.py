"""docs/application.md names every phase, fact and setting that there is."""

from __future__ import annotations

import re
from pathlib import Path

from operations.telling.env_file import EPOCH, PRIMARY, URL
from operations.telling.hooks import PHASES, facts_of
from shared.settings import load_settings
from shared.sqlite.fence import MESSAGE

PAGE = (Path(__file__).parents[2] / "docs" / "application.md").read_text(encoding="utf-8")


def test_every_phase_and_every_fact_is_explained() -> None:
    settings = load_settings(None, {"source": "app.db", "target": "dbname=x"})
    facts = {*facts_of(settings, 1, rehearsal=False), "SWITCHBACK_PHASE", PRIMARY}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) >= {*PHASES, *facts}


def test_the_env_files_names_and_the_fences_words_are_given() -> None:
    assert all(f"{name}=" in PAGE for name in (URL, PRIMARY, EPOCH))
    assert MESSAGE in PAGE
    assert "SB001" in PAGE
