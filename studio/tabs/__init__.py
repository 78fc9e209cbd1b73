"""The tabs of the page, each a `build` that lays out and handlers that call the backend."""
