"""Training, evaluating and exporting classifiers."""
