"""One module per vendor behind the ChatSource protocol, and the HTTP client and policy that they share. It may import domain."""
