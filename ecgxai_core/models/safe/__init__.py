"""Guards of untrusted model files: what is checked before Keras reads it."""
