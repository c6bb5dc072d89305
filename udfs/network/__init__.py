"""Word-pieces, packing, the forward pass, the device it runs on."""
