"""The vendors as small servers, quirks included, for trying, testing and measuring.

They stand alone: nothing here imports the gateway, and of the gateway only the demo imports them.
"""
