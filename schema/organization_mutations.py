"""Mutations of organizations, their members and keys: what they take, what they answer, and what they do."""

from datetime import datetime

import strawberry

from resolvers import organizations
from schema.api_key import ApiKey
from schema.arguments import Info, Input
from schema.enums import Role, Scope
from schema.member import Member
from schema.mutation_parts import IDEMPOTENCY_KEY, REPLAYED, MutationPayload, mutation
from schema.organization import Organization


@strawberry.input(description="What `createOrganization` takes.")
class CreateOrganizationInput:
    slug: str = strawberry.field(description="Short name for addresses: lower-case letters, digits and hyphens.")
    name: str = strawberry.field(description="The name to show to people.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.type(description="What `createOrganization` answers.")
class CreateOrganizationPayload(MutationPayload):
    organization: Organization | None = strawberry.field(
        default=None, description="The new organization, or null when it failed."
    )
    replayed: bool = strawberry.field(default=False, description=REPLAYED)


@strawberry.input(description="What `updateOrganization` takes.")
class UpdateOrganizationInput:
    organization_id: strawberry.ID = strawberry.field(description="The organization.")
    slug: str | None = strawberry.field(default=None, description="The new slug.")
    name: str | None = strawberry.field(default=None, description="The new name.")


@strawberry.type(description="What `updateOrganization` answers.")
class UpdateOrganizationPayload(MutationPayload):
    organization: Organization | None = strawberry.field(
        default=None, description="The organization after the change, or null when it failed."
    )


@strawberry.input(description="What `addMember` takes.")
class AddMemberInput:
    organization_id: strawberry.ID = strawberry.field(description="The organization.")
    subject: str = strawberry.field(description="The `sub` claim by which the sign-in service knows the person.")
    issuer: str | None = strawberry.field(
        default=None, description="The `iss` claim of the sign-in service. Left out: the one in the gateway's settings."
    )
    display_name: str | None = strawberry.field(default=None, description="The name to show to people.")
    role: Role = strawberry.field(description="What the person may do.")


@strawberry.type(description="What `addMember` answers.")
class AddMemberPayload(MutationPayload):
    member: Member | None = strawberry.field(default=None, description="The member, or null when it failed.")


@strawberry.input(description="What `updateMember` takes.")
class UpdateMemberInput:
    member_id: strawberry.ID = strawberry.field(description="The member.")
    role: Role = strawberry.field(description="What the person may do from now on.")


@strawberry.type(description="What `updateMember` answers.")
class UpdateMemberPayload(MutationPayload):
    member: Member | None = strawberry.field(
        default=None, description="The member as it is now, or null when it failed."
    )


@strawberry.input(description="What `removeMember` takes.")
class RemoveMemberInput:
    member_id: strawberry.ID = strawberry.field(description="The member.")


@strawberry.type(description="What `removeMember` answers.")
class RemoveMemberPayload(MutationPayload):
    removed_member_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the former member, or null when it failed."
    )


@strawberry.input(description="What `createApiKey` takes.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="What it is for.")
    scopes: list[Scope] = strawberry.field(description="What it may be used for.")
    expires_at: datetime | None = strawberry.field(default=None, description="When it ends by itself. Left out: never.")


@strawberry.type(description="What `createApiKey` answers.")
class CreateApiKeyPayload(MutationPayload):
    api_key: ApiKey | None = strawberry.field(default=None, description="The key, or null when it failed.")
    secret: str | None = strawberry.field(
        default=None, description="The secret. It is shown this once and cannot be read again. Null when it failed."
    )


@strawberry.input(description="What `revokeApiKey` takes.")
class RevokeApiKeyInput:
    api_key_id: strawberry.ID = strawberry.field(description="The key.")


@strawberry.type(description="What `revokeApiKey` answers.")
class RevokeApiKeyPayload(MutationPayload):
    api_key: ApiKey | None = strawberry.field(
        default=None, description="The key after the change, or null when it failed."
    )


@strawberry.type
class OrganizationMutations:
    @mutation("Create an organization and become its admin.")
    async def create_organization(self, info: Info, input: Input[CreateOrganizationInput]) -> CreateOrganizationPayload:
        record, replayed = await organizations.create_organization(
            info.context, slug=input.slug, name=input.name, idempotency_key=input.idempotency_key
        )
        return CreateOrganizationPayload(organization=Organization.of(record), replayed=replayed)

    @mutation("Change an organization. A field that is left out stays as it is. For admins.")
    async def update_organization(self, info: Info, input: Input[UpdateOrganizationInput]) -> UpdateOrganizationPayload:
        record = await organizations.update_organization(
            info.context, organization_id=input.organization_id, slug=input.slug, name=input.name
        )
        return UpdateOrganizationPayload(organization=Organization.of(record))

    @mutation("Let a person into an organization. For admins.")
    async def add_member(self, info: Info, input: Input[AddMemberInput]) -> AddMemberPayload:
        record = await organizations.add_member(
            info.context,
            organization_id=input.organization_id,
            subject=input.subject,
            issuer=input.issuer,
            display_name=input.display_name,
            role=input.role,
        )
        return AddMemberPayload(member=Member.of(record))

    @mutation("Change the role of a member. For admins.")
    async def update_member(self, info: Info, input: Input[UpdateMemberInput]) -> UpdateMemberPayload:
        record = await organizations.update_member(info.context, member_id=input.member_id, role=input.role)
        return UpdateMemberPayload(member=Member.of(record))

    @mutation("Put a member out. Open subscriptions of that person are closed. For admins.")
    async def remove_member(self, info: Info, input: Input[RemoveMemberInput]) -> RemoveMemberPayload:
        gone = await organizations.remove_member(info.context, member_id=input.member_id)
        return RemoveMemberPayload(removed_member_id=strawberry.ID(gone))

    @mutation("Create a key for programs. For admins.")
    async def create_api_key(self, info: Info, input: Input[CreateApiKeyInput]) -> CreateApiKeyPayload:
        record, secret = await organizations.create_api_key(
            info.context, name=input.name, scopes=input.scopes, expires_at=input.expires_at
        )
        return CreateApiKeyPayload(api_key=ApiKey.of(record), secret=secret)

    @mutation("End a key at once. Open subscriptions that use it are closed. For admins.")
    async def revoke_api_key(self, info: Info, input: Input[RevokeApiKeyInput]) -> RevokeApiKeyPayload:
        record = await organizations.revoke_api_key(info.context, api_key_id=input.api_key_id)
        return RevokeApiKeyPayload(api_key=ApiKey.of(record))
