"""How each source contributed to an answer."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import GatewayError, SourceStatusCode, UpstreamError
from domain.records import Source
from domain.source import Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """How one source contributed to a list. `stale`: its rows are the gateway's copy, as new as `as_of`. `missing_before` is a cursor."""

    source: Source
    code: SourceStatusCode = SourceStatusCode.OK
    stale: bool = False
    as_of: datetime | None = None
    retry_after_ms: int | None = None
    message: str | None = None
    skipped_rows: int = 0
    missing_before: str | None = None

    def lacking(self, skipped: Skipped, *, is_cut: bool = False) -> "SourceStatus":
        """The same without rows that could not be understood, or, `is_cut`, without the end of a list that has none within reach."""
        if not (skipped or is_cut):
            return self
        source, sentences = self.source, []
        if skipped:
            rows = "a row" if skipped.count == 1 else f"{skipped.count} rows"
            left = "It is" if skipped.count == 1 else "They are"
            sentences.append(
                f"{source.key}: {skipped.operation.replace('_', ' ')} was answered by {source.vendor} with {rows} that cannot be understood "
                f"({skipped.place}). {left} left out; check the vendor's version."
            )
        if is_cut:
            sentences.append(
                f"{source.key}: the list of chats did not come to an end at {source.vendor}. "
                "What was read of it is shown; narrow the filter, or ask again."
            )
        return replace(self, code=SourceStatusCode.PARTIAL, skipped_rows=skipped.count, message=" ".join(sentences))

    def served_stale(self, as_of: datetime | None) -> "SourceStatus":
        """The same, with rows from the gateway's copy."""
        return replace(self, stale=True, as_of=as_of)


def status_of_error(source: Source, error: GatewayError) -> SourceStatus:
    """The status of a source whose call raised `error`."""
    seconds = error.retry_after_seconds if isinstance(error, UpstreamError) else None
    return SourceStatus(
        source=source,
        code=error.status_code,
        message=error.message,
        retry_after_ms=round(seconds * 1000) if seconds is not None else None,
    )
