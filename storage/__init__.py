"""The gateway's own store: tables, migrations, repositories, the event log, and the local store as a ChatSource. It may import domain."""
