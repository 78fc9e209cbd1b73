"""Models that come as one safetensors file, made into folders beside the model they came from."""
