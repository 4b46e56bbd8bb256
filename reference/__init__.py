"""What graph, te and loop mean, in NumPy: slow, obvious, the oracle of every check."""
