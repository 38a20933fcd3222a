"""The command line. It parses, calls one function and prints; everything it does is in the Python API too."""
