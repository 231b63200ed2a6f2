"""Training for integers: quantization-aware training, pruning, and what both export."""
