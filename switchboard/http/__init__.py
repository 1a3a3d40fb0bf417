"""One module per protocol that clients speak: GraphQL over HTTP, graphql-transport-ws, server-sent events, and GraphiQL's page."""
