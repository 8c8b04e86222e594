"""What the daemons' small pages have in common: read-only JSON by WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

Environment = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]
Answer = Iterable[bytes]
Application = Callable[[Environment, Start], Answer]


def answer_json(status: HTTPStatus, body: bytes, environment: Environment, start: Start) -> Answer:
    """That body to GET, its head to HEAD; anything else is refused."""
    method = environment.get("REQUEST_METHOD")
    if method not in {"GET", "HEAD"}:
        start("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")])
        return []
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    start(f"{status.value} {status.phrase}", [*headers, ("Content-Length", str(len(body)))])
    return [body] if method == "GET" else []


def route(pages: Mapping[str, Application], others: Application) -> Application:
    """Each page at its path, and ``others`` everywhere else."""

    def answer(environment: Environment, start: Start) -> Answer:
        path = str(environment.get("PATH_INFO", "")).rstrip("/")
        return pages.get(path, others)(environment, start)

    return answer
