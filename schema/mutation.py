"""Writing: the root of all mutations."""

import strawberry

from schema.chat_mutations import ChatMutations
from schema.folder_mutations import FolderMutations
from schema.message_mutations import MessageMutations
from schema.organization_mutations import OrganizationMutations
from schema.source_mutations import SourceMutations


@strawberry.type(
    description=(
        "Writing. Each field takes one `input` and answers with a payload. What you can act on (a wrong "
        "value, a missing right, a vendor that cannot do it)\n"
        "is in the `userErrors` of the payload, which is empty when all went well; look there before you "
        "use the rest.\n"
        "Fields run one after the other, in the order of the document."
    )
)
class Mutation(ChatMutations, MessageMutations, FolderMutations, OrganizationMutations, SourceMutations):
    pass
