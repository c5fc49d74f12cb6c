"""Classifiers: manifests, preprocessing, safe loading and prediction."""
