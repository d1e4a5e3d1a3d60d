"""Times the same networks in both frameworks: parity first, a fresh process per cell and round."""
