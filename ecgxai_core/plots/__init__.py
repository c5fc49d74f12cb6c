"""Pictures: ECG paper, explanation overlays and charts. No numerics beyond drawing, no files."""
