"""ECG-XAI: make, see and judge explanations of 12-lead ECG classifiers.

Heavy libraries (TensorFlow, shap, lime, neurokit2) are imported inside the one module that needs
each, when it is first used.
"""

__version__ = "0.1.0"
