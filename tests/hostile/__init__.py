"""The gateway as bad, unlucky and foreign clients meet it, over real sockets and with vendors that misbehave."""
