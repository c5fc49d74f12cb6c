"""Records in the formats of carts, archives and data sets: one module each, read into ours."""
