"""edgeq: take a trained network to the device it has to run on."""

__version__ = "0.1.0.dev0"
