"""Names of who is asking: `Principal.key` is kept in the store, so its form never changes."""

from domain.records import Principal


def person_key(issuer: str, subject: str) -> str:
    """`Principal.key` of a person. Issuers are URLs or names without spaces, so the first space ends them."""
    return f"jwt:{issuer} {subject}"


def issuer_of(principal: Principal) -> str | None:
    """The sign-in service of a person; None for an API key."""
    if principal.subject is None:
        return None
    return principal.key.removeprefix("jwt:").removesuffix(f" {principal.subject}")


def actor_name(principal: Principal) -> str:
    """How the audit log names somebody: by a name that people know, where there is one."""
    return principal.display_name or principal.subject or principal.key
