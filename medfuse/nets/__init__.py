"""The bricks of everything that learns: plain torch, from one convolution to one model file."""
