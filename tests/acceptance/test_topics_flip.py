"""The table topics go on across cutovers: who reads them sees one history, whichever database was written to."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from daemons import Daemon
from fix_world import MakeWorld
from shared.log.opening import open_log
from table_topics import assert_published, records, wait_published


def test_consumers_see_one_history_across_a_cutover_and_back(
    make_world: MakeWorld, postgres_dsn: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    world = make_world(postgres_dsn, f"kafka://{kafka_bootstrap}")
    migration = world.migration
    prefix = f"{migration.stream}-{tmp_path.name}"
    topics = Daemon("topics", {**migration.settings, "topics_prefix": prefix}, tmp_path)
    topics.start()
    try:
        for verb in ("cutover", "rollback"):
            world.writes_go_on()
            topics.stop()  # what stands in the topics by then is of either side
            topics.start()
            world.flip(verb)
        world.end()
        with closing(open_log(migration.settings["log"], migration.stream)) as log:
            ledger = migration.ledger()  # what the sink reports to the log comes a little later
            assert ledger
            wait_published(log, prefix, ledger.position.number, topics)
    finally:
        topics.kill()

    assert_published(migration.source, kafka_bootstrap, prefix)
    epochs = [r.value["source"]["epoch"] for r in records(kafka_bootstrap, f"{prefix}.receipt") if r.value]
    assert set(epochs) == {0, 1, 2}
    assert epochs == sorted(epochs)
