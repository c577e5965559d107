"""Exchange with other software: other layouts, and readers for its libraries."""
