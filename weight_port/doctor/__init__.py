"""What is wrong with a file of weights, by comparison with a sound one or by itself."""
