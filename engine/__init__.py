"""Runs a GraphQL operation within limits. It knows GraphQL and nothing of chats, and imports no other package of the gateway."""
