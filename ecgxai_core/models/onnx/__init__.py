"""Models in the ONNX format: read strictly, and rebuilt as Keras networks of ordinary layers."""

from __future__ import annotations
