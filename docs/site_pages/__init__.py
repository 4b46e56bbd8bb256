"""What the documentation's site needs besides its pages (docs/conf.py)."""
