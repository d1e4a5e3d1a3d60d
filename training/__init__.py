"""CIFAR-10 in both frameworks: the same weights, the same batches, the same curve."""
