"""Select, explain, fuse, evaluate: many records, through the cache, resumable."""
