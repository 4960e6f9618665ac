"""The pages, a package each: drawn from snapshots of the training; none keeps what a reload would lose."""
