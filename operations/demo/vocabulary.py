"""The words and dates that demo rows are put together from.

All tables here have a power of two as length, so that a row picks with a mask instead of a division.
"""

from __future__ import annotations

from datetime import date, timedelta

DAY_ZERO = date(2024, 1, 1)
EPOCH_ZERO = 1_704_067_200
"""DAY_ZERO as epoch seconds: all demo history happens in the ``HISTORY`` seconds after it."""
HISTORY = 512 * 86_400
JULIAN_ZERO = 2_460_310.5

DAYS = tuple((DAY_ZERO + timedelta(days=n)).isoformat() for n in range(1024))
CLOCK = tuple(f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in range(86_400))
BIRTHDAYS = tuple((date(1950, 1, 1) + timedelta(days=n * 9)).isoformat() for n in range(2048))

FIRST_NAMES = (
    "Anna", "Ben", "Chiara", "David", "Elif", "Finn", "Greta", "Hassan", "Ines", "Jürgen", "Katarzyna", "Liam",
    "Mia", "Noé", "Olga", "Paul", "Quentin", "Rosa", "Søren", "Tereza", "Uwe", "Vera", "Wei", "Ximena",
    "Yusuf", "Zoë", "Åsa", "Björn", "Dimitra", "Emre", "Łucja", "美咲",
)  # fmt: skip
LAST_NAMES = (
    "Andersson", "Bauer", "Costa", "Dubois", "Eriksen", "Ferrari", "García", "Hoffmann", "Ivanov", "Jansen",
    "Kowalski", "Lindqvist", "Müller", "Novák", "O'Brien", "Papadopoulos", "Quinn", "Rossi", "Schmidt", "Tanaka",
    "Ulrich", "Virtanen", "Weiß", "Xu", "Yücel", "Zimmermann", "Ahmed", "Brown", "Çelik", "van der Berg",
    "Edwards", "Fischer",
)  # fmt: skip
TRADES = (
    "Solar", "Logistics", "Dental", "Software", "Bakery", "Roofing", "Legal", "Marine", "Media", "Timber",
    "Optics", "Energy", "Textiles", "Travel", "Robotics", "Foods",
)  # fmt: skip
FORMS = ("GmbH", "Ltd", "Inc.", "S.A.", "B.V.", "AB", "Oy", "s.r.o.")
CITIES = ("Berlin", "Kraków", "Lyon", "Malmö", "Porto", "Wien", "Zürich", "Łódź")
PATHS = (
    "/", "/pricing", "/features", "/contact", "/blog", "/blog/solar-2025", "/signup", "/login",
    "/docs", "/docs/api", "/about", "/careers", "/pricing?plan=team", "/de/preise", "/search?q=caf%C3%A9", "/legal",
)  # fmt: skip
EVENTS = (
    "page_view", "page_view", "page_view", "page_view", "click", "click", "scroll", "scroll",
    "form_start", "form_submit", "video_play", "download", "page_view", "click", "search", "error",
)  # fmt: skip
STATUSES = ("new", "new", "contacted", "contacted", "qualified", "proposal", "won", "lost")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile Safari/604.1",
    "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://example.com/bot)",
)
WORDS = (
    "offer", "call", "back", "monday", "budget", "roof", "panel", "contract", "waiting", "for", "the", "signature",
    "customer", "asked", "about", "délai", "warranty", "discount", "and", "delivery", "next", "week", "please",
    "send", "größe", "of", "battery", "to", "team", "price", "✓", "urgent",
)  # fmt: skip
SUBJECTS = ("Your offer", "Re: Your offer", "Welcome", "Invoice", "A question", "Reminder", "Termin", "")
FILES = (("offer.pdf", "application/pdf"), ("photo.jpg", "image/jpeg"), ("plan.dwg", "image/vnd.dwg"), ("", "text/csv"))
METRICS = ("LCP", "FID", "CLS", "TTFB")
DEVICES = ("laptop", "phone", "tablet", "desk")
ROLES = ("Administrator", "Manager", "Agent", "Auditor", "Guest")
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728")


def sentence(bits: int, words: int) -> str:
    """``words`` words from 5 bits each; the same bits give the same words."""
    return " ".join([WORDS[bits >> shift & 31] for shift in range(0, words * 5, 5)])


def uuid_text(high: int, low: int) -> str:
    """A version-4 UUID, as text, from two numbers of 64 bits."""
    digits = f"{high:016x}{low:016x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
