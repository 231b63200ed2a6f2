"""What instructions cost: one file per core, a priced block as the common product."""
