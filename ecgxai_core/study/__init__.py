"""What readers say of explanations: feedback on single maps."""
