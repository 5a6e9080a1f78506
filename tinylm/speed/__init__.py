"""How a step is taken fast: kernels by hand, CUDA graphs, stacks and runs side by side."""
