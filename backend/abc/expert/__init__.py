"""What experts say of images, read from tables, beside what the meter says of them."""
