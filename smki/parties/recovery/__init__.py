"""Recovery and contingency: what is done on devices after a key was lost, or may have been."""
