"""Who may be told the same, as broadcasts ask for it: resolvers know what people see, sessions know whether they still may."""

from collections.abc import Hashable

from resolvers.audience import Audience, audience_of, context_of
from resolvers.context import Context
from switchboard.sessions import GatewaySessions


class GatewayAudiences:
    """The audiences of one process."""

    def __init__(self, sessions: GatewaySessions) -> None:
        self._sessions = sessions

    async def of(self, context: Context, *, is_viewers_own: bool) -> Audience:
        """The audience of whoever asks."""
        return await audience_of(context, is_viewers_own=is_viewers_own)

    def context(self, audience: Audience, *, request_id: str) -> Context:
        """What an event for all of an audience is executed with."""
        return context_of(self._sessions.gateway, audience, request_id=request_id)

    async def epoch(self, context: Context) -> Hashable:
        """Rights of sessions, and the sources of the organization: who sees what depends on nothing else."""
        sources, watches = self._sessions.gateway.sources, self._sessions.watches
        while True:
            rights = await watches.settled()
            known = await sources.of(context.organization.id)
            if rights == await watches.settled():
                return (rights, known)
