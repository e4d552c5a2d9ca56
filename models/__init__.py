"""The SASA encoder: structure-aware sparse attention over whole functions and files."""
