"""Earth Engine through its own client; `ee` is imported in this package only."""
