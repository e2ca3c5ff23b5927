"""quantmis: the privacy audit for quantized models."""

__version__ = "0.1.0"
