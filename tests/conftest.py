"""Tests compile: what an earlier run left in the user's cache does not stand in for it."""

import os

os.environ["NNC_CACHE"] = "off"
