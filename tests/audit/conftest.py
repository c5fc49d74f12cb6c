"""The data set, model and cache of the pipeline's tests."""

from tests.pipeline.conftest import own_cache, tiny_data, tiny_model

__all__ = ["own_cache", "tiny_data", "tiny_model"]
