"""From loss tables to what is said about an audit: scores, records of versions, ranking, controls, findings. No torch."""
