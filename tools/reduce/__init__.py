"""nn-reduce: a module made smaller while it keeps failing."""
