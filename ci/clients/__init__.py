"""What each SPICE client can do with a VM: rows of a matrix, whose columns are the clients."""
