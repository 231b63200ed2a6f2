"""Measurement: what the device really did, over its serial console.

wire          lines over a serial port: opened politely, read with a deadline, resynchronised after junk
port          opening it without disturbing the board; who holds it
origin        what is behind a port: measured, simulated, or not to be known
session       the device's commands: the MLPerf Tiny API and edgeq's one extra command
inputs        samples in the model's own type, from a file or seeded
profile       outputs compared, latency, layers, stack → Measurement
measurement   the product, with its JSON
"""
