"""Who knows the answer: plain functions that combine sources, the store and overlays. They may import storage, upstreams and domain, and know neither GraphQL types nor SQL nor URLs."""
