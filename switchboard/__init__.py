"""The application: settings, wiring, authentication, transports and the command line. It may import everything, because wiring is its job."""
