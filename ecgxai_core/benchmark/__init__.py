"""Benchmarks whose truth is known: which explanation methods find what a model really uses?

``planted``: simulated records and models that use the planted evidence, or cheat. ``ludb``: real
records whose waves cardiologists have marked.
"""
