"""Quantizers: from a trained model to integer codes and the model that computes with them."""
