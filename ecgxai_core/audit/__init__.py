"""Report cards of models, checks of a new model, and benchmarks with known ground truth.

Benchmarks: ``planted`` (simulated records, and models that use the planted evidence or an artefact)
and ``ludb`` (real records whose waves were annotated by cardiologists).
"""
