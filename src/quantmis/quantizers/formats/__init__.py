"""Files that other tools wrote, read into the record without those tools."""
