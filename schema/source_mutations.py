"""Mutations of sources: what they take, what they answer, and what they do."""

import strawberry

from domain import records
from domain.errors import InvalidArgument
from resolvers import sources
from schema.arguments import Info, Input
from schema.enums import MirrorFate, Visibility, WebhookChange
from schema.mutation_parts import IDEMPOTENCY_KEY, REPLAYED, MutationPayload, mutation
from schema.scalars import JSON, URL
from schema.source import Source
from schema.user_error import user_errors


@strawberry.input(description="One piece of what signs the gateway in at a source.")
class CredentialInput:
    name: str = strawberry.field(
        description="Which piece, as `Vendor.credentialsSchema` names it, for example `api_key`."
    )
    value: str = strawberry.field(
        description="The secret itself, or `env:NAME` to take it from the gateway's environment."
    )


@strawberry.type(description="One thing that was checked at a source.")
class SourceCheck:
    name: str = strawberry.field(description="What was checked, for example `reachable`, `credentials` or `version`.")
    passed: bool | None = strawberry.field(description="Whether it is well, or null when it could not be checked.")
    message: str = strawberry.field(description="What was seen and what to do, in a sentence for people.")

    @classmethod
    def of(cls, record: records.Check) -> "SourceCheck":
        """The GraphQL type of a record."""
        return cls(name=record.name, passed=record.passed, message=record.message)


@strawberry.input(description="What `connectSource` takes.")
class ConnectSourceInput:
    key: str = strawberry.field(
        description="A short name that no other source which you can see has: lower-case letters, digits and hyphens."
    )
    vendor: str = strawberry.field(description="The kind of chat system, one of `Query.vendors`.")
    display_name: str | None = strawberry.field(
        default=None, description="The name to show to people. Left out: the name of the vendor."
    )
    base_url: URL | None = strawberry.field(default=None, description="Where it is. Some vendors have a default.")
    credentials: list[CredentialInput] | None = strawberry.field(
        default=None,
        description=(
            "What signs the gateway in. `Vendor.credentialsSchema` says which. Stored encrypted and never shown again."
        ),
    )
    options: JSON | None = strawberry.field(
        default=None, description="Settings of the vendor. `Vendor.optionsSchema` describes them."
    )
    dry_run: bool = strawberry.field(default=False, description="Only check the settings and reach out; store nothing.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)
    visibility: Visibility = strawberry.field(
        default=Visibility.ORGANIZATION, description="Who shall see it. A person's own account at a vendor is `OWNER`."
    )


@strawberry.type(description="What `connectSource` answers.")
class ConnectSourcePayload(MutationPayload):
    source: Source | None = strawberry.field(
        default=None, description="The new source, or null when it failed or was only tried."
    )
    checks: list[SourceCheck] = strawberry.field(default_factory=list, description="What was checked, in order.")
    replayed: bool = strawberry.field(default=False, description=REPLAYED)


@strawberry.input(description="What `updateSource` takes.")
class UpdateSourceInput:
    source_id: strawberry.ID = strawberry.field(description="The source.")
    display_name: str | None = strawberry.field(default=None, description="The new name to show to people.")
    base_url: URL | None = strawberry.field(default=None, description="The new address.")
    credentials: list[CredentialInput] | None = strawberry.field(
        default=None, description="New credentials, in place of those with the same names."
    )
    options: JSON | None = strawberry.field(
        default=None, description="New settings of the vendor, in place of all that were there."
    )
    webhook: WebhookChange | None = strawberry.field(
        default=None, description="Make an address that the vendor can send its webhooks to, or remove it."
    )


@strawberry.type(description="What `updateSource` answers.")
class UpdateSourcePayload(MutationPayload):
    source: Source | None = strawberry.field(
        default=None, description="The source after the change, or null when it failed."
    )
    webhook_path: str | None = strawberry.field(
        default=None,
        description=(
            "The path of the new webhook, for the vendor: `https://<your gateway><webhookPath>`. It holds a secret and is shown this "
            "once. Null unless one was made."
        ),
    )


@strawberry.input(description="What `testSource` takes.")
class TestSourceInput:
    source_id: strawberry.ID = strawberry.field(description="The source.")


@strawberry.type(description="What `testSource` answers.")
class TestSourcePayload(MutationPayload):
    source: Source | None = strawberry.field(
        default=None, description="The source with its fresh `health`, or null when it failed."
    )
    checks: list[SourceCheck] = strawberry.field(default_factory=list, description="What was checked, in order.")


@strawberry.input(description="What `disconnectSource` takes.")
class DisconnectSourceInput:
    source_id: strawberry.ID = strawberry.field(description="The source.")
    mirror: MirrorFate = strawberry.field(
        default=MirrorFate.DELETE,
        description="What happens to the gateway's copy of its chats. Nothing is deleted at the source.",
    )


@strawberry.type(description="What `disconnectSource` answers.")
class DisconnectSourcePayload(MutationPayload):
    disconnected_source_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the source that is gone, or null when it failed."
    )


@strawberry.type
class SourceMutations:
    @mutation("Connect your organization to a chat system. For admins.")
    async def connect_source(self, info: Info, input: Input[ConnectSourceInput]) -> ConnectSourcePayload:
        try:
            connected = await sources.connect_source(
                info.context,
                key=input.key,
                vendor=input.vendor,
                display_name=input.display_name,
                base_url=input.base_url,
                credentials=_by_name(input.credentials) or {},
                options=input.options,
                dry_run=input.dry_run,
                visibility=input.visibility,
                idempotency_key=input.idempotency_key,
            )
        except sources.ChecksFailed as failed:
            return ConnectSourcePayload(
                checks=[SourceCheck.of(check) for check in failed.checks], user_errors=user_errors([failed])
            )
        return ConnectSourcePayload(
            source=None if connected.source is None else Source.of(connected.source),
            checks=[SourceCheck.of(check) for check in connected.checks],
            replayed=connected.replayed,
        )

    @mutation("Change a source. A field that is left out stays as it is. For admins.")
    async def update_source(self, info: Info, input: Input[UpdateSourceInput]) -> UpdateSourcePayload:
        updated = await sources.update_source(
            info.context,
            source_id=input.source_id,
            display_name=input.display_name,
            base_url=input.base_url,
            credentials=_by_name(input.credentials),
            options=input.options,
            webhook=input.webhook,
        )
        return UpdateSourcePayload(source=Source.of(updated.source), webhook_path=updated.webhook_path)

    @mutation("Reach out to a source and see whether all is well. For admins.")
    async def test_source(self, info: Info, input: Input[TestSourceInput]) -> TestSourcePayload:
        record, checks = await sources.test_source(info.context, source_id=input.source_id)
        return TestSourcePayload(source=Source.of(record), checks=[SourceCheck.of(check) for check in checks])

    @mutation("Forget a source and its credentials. Nothing is deleted at the source. For admins.")
    async def disconnect_source(self, info: Info, input: Input[DisconnectSourceInput]) -> DisconnectSourcePayload:
        gone = await sources.disconnect_source(
            info.context, source_id=input.source_id, keep_mirror=input.mirror is MirrorFate.KEEP
        )
        return DisconnectSourcePayload(disconnected_source_id=strawberry.ID(gone))


def _by_name(credentials: list[CredentialInput] | None) -> dict[str, str] | None:
    """Name to secret. Two of one name are refused: which of them was meant cannot be known."""
    if credentials is None:
        return None
    found: dict[str, str] = {}
    for index, credential in enumerate(credentials):
        if credential.name in found:
            raise InvalidArgument(
                f"The credential `{credential.name}` is given twice. Give each name once.",
                path=("credentials", str(index), "name"),
            )
        found[credential.name] = credential.value
    return found
