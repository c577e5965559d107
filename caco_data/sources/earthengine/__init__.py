"""Earth Engine, through its own client: the only place where `ee` is imported."""
