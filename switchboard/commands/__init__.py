"""The commands, one module each. They print what a person or a script asked for on stdout, and everything else on stderr."""
