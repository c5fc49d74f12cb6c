"""Training, evaluating and shipping classifiers."""
