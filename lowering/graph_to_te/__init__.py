"""Graph operators as te kernels, one file a family; `convert_graph_to_te` is the pass."""
