"""What is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def product_version() -> str:
    """The version that is installed."""
    try:
        return version("sqlite-switchback")
    except PackageNotFoundError:
        return "0+unknown"
