"""`nnc bisect`: the pass, the op and the node that make a result wrong."""
