"""A compiled model as a picture, and as a page to look into: `nnc inspect --svg` and `--html`."""
