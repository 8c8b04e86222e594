"""The set of keys that changed and are not yet seen equal, each with the number of the last group that changed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from operations.verification.comparing import Key
from operations.verification.together import Difference, Keys, Looked


class OpenKeys:
    """Keys by table, in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[Key, int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._numbers.values()))

    def add(self, table: str, key: Key, number: int) -> None:
        """That group changed the key, or it is in doubt since then."""
        self._numbers.setdefault(table, {})[key] = number

    def batches(self, size: int) -> Iterator[Keys]:
        """All keys, so many at a time; the set may not change meanwhile."""
        batch: dict[str, list[Key]] = {}
        count = 0
        for table, keys in self._numbers.items():
            for key in keys:
                batch.setdefault(table, []).append(key)
                count += 1
                if count == size:
                    yield batch
                    batch, count = {}, 0
        if batch:
            yield batch

    def settle(self, looked: Looked) -> None:
        """Forget the keys whose rows are equal while all their changes are applied; a value may come back.

        The others go to the end, so that all have their turn.
        """
        wrong = _named(looked.wrong)
        for table, keys in looked.keys.items():
            known = self._numbers[table] = self._numbers.pop(table)
            for key in keys:
                number = known.pop(key)
                if number > looked.applied.number or (table, key) in wrong:
                    known[key] = number

    def keep(self, wrong: Iterable[Difference]) -> None:
        """Of all keys only those that differ."""
        differing = _named(wrong)
        self._numbers = {
            table: {key: number for key, number in keys.items() if (table, key) in differing}
            for table, keys in self._numbers.items()
        }


def _named(wrong: Iterable[Difference]) -> set[tuple[str, Key]]:
    return {(found.view.table.name, found.key) for found in wrong}
