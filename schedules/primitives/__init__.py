"""The primitives: each edits a nest in place and keeps its meaning, or refuses with the reason."""
