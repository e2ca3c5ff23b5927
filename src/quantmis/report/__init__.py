"""From results.json to the page that people read. Reads results and statistics only; never imports torch."""
