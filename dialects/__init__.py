"""The dialects of nnc: graph, te, sched, loop. See docs/layout.md."""
