"""Records that nobody should trust, and odd ones that must be read; made by code, not stored."""
