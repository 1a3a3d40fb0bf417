"""The one place that reads `Accept` (RFC 9110 section 12.5.1) and decides in which form an operation is answered."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class Form(Enum):
    """A form of answer, by its media type."""

    JSON = "application/json"
    GRAPHQL_JSON = "application/graphql-response+json"
    EVENT_STREAM = "text/event-stream"
    HTML = "text/html"

    @property
    def content_type(self) -> bytes:
        """The value of the answer's `Content-Type`."""
        return f"{self.value}; charset=utf-8".encode()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a client takes. `single`: its preferred form of one response, None when it takes neither JSON.

    `prefers_stream`: server-sent events come before any JSON. Listing them at all is not preferring them: urql lists them
    behind JSON with each query. `takes_stream`: they are listed, so that a subscription can be answered.
    """

    single: Form | None
    prefers_stream: bool
    takes_stream: bool
    prefers_page: bool


@lru_cache(maxsize=512)
def read_accept(header: str | None) -> Accepted:
    """Read the header; none at all, and `*/*`, mean `application/json`. Among equal weights the first that is listed wins."""
    ranges = _ranges(header or "*/*")
    ranks = {form: _rank(form, ranges) for form in Form}
    singles = [form for form in (Form.JSON, Form.GRAPHQL_JSON) if ranks[form]]
    single = max(singles, key=lambda form: ranks[form], default=None)
    best = ranks[single] if single else (0.0, 0, 0)
    listed = {name for name, _ in ranges}
    takes_stream = bool(ranks[Form.EVENT_STREAM]) and bool(listed & {"text/event-stream", "text/*"})
    takes_page = bool(ranks[Form.HTML]) and bool(listed & {"text/html", "text/*"})
    return Accepted(
        single=single,
        prefers_stream=takes_stream and ranks[Form.EVENT_STREAM] > best,
        takes_stream=takes_stream,
        prefers_page=takes_page and ranks[Form.HTML] > best,
    )


def _ranges(header: str) -> list[tuple[str, float]]:
    """Media range and weight, in the order of the header. Malformed weights count as 1, as browsers and proxies do."""
    ranges = []
    for item in header[:4096].split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                try:
                    weight = min(1.0, max(0.0, float(value)))
                except ValueError:
                    weight = 1.0
        if name:
            ranges.append((name.lower(), weight))
    return ranges


def _rank(form: Form, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """(weight, exactness, earliness) of the most exact range that matches; empty when refused or not named."""
    major = form.value.partition("/")[0]
    best: tuple[int, float, int] | None = None
    for position, (name, weight) in enumerate(ranges):
        exactness = {form.value: 2, f"{major}/*": 1, "*/*": 0}.get(name, -1)
        if exactness >= 0 and (best is None or exactness > best[0]):
            best = (exactness, weight, -position)
    if best is None or best[1] == 0:
        return ()  # type: ignore[return-value]  # empty tuples are false, and less than all others
    return best[1], best[0], best[2]
