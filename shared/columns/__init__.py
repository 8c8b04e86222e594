"""Values between SQLite and PostgreSQL: which type a column gets, and how each value goes there and back."""

from shared.columns.choice import choose_type
from shared.columns.codec import Codec, Unfit, storage_class
from shared.columns.codecs import codec_for

__all__ = ["Codec", "Unfit", "choose_type", "codec_for", "storage_class"]
