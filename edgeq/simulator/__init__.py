"""Virtual boards: core, memories, devices and cycle model of a target, running the image that would be flashed."""
