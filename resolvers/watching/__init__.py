"""The feeds: what watches vendors for as long as somebody subscribes. The rest of the gateway knows them as `resolvers.interest.Watching`.

`feeds` is that face; `source_watch` runs everything about one source: when its chats and its list are read (`subject`, `pace`, `budget`), how
(`chat_reader`, `list_reader`, `marks`), its native streams (`streams`, `words`), and what is told of its health (`health`).
"""
