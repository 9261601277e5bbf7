"""Reports about runs: tables, HTML with plots, JSON, CSV, Markdown."""
