"""The vendors as small servers, quirks included, for trying, testing and measuring. They stand alone."""
