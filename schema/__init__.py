"""What can be asked: one module per GraphQL type, each built from a domain record. It may import resolvers and domain."""
