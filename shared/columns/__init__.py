"""Values between SQLite and PostgreSQL: which type a column gets, and how each value goes there and back."""

from shared.columns.choice import choose_type, codec_for
from shared.columns.codec import Codec, Unfit, storage_class

__all__ = ["Codec", "Unfit", "choose_type", "codec_for", "storage_class"]
