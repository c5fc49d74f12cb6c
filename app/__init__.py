"""The dashboard: the entry point and what its pages share. For research use only."""
