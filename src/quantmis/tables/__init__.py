"""The loss tables of an audit: what they hold, how they are saved and read back. No torch."""
