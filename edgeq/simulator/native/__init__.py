"""C for the host: the part of a virtual board that runs once per basic block."""
