"""A home as a whole: creating, configuring and verifying it. Adapters come from `tallystick.wiring`."""
