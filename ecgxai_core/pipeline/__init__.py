"""Select, explain, fuse, judge: many records, through the cache, resumable."""
