"""What a file of weights is, told from its head and its configuration; no weight is read, and no torch imported."""
