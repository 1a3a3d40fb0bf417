"""One conversation with Open WebUI, played against a real server and against the simulator, and compared."""
