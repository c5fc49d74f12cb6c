"""What pages show: one module a page, and the parts that several share."""
