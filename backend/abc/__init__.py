"""The ABC language: value objects, captions from them, attributes from captions and from images."""
