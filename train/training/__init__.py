"""One training: network, data, loss, steps, checkpoints."""
