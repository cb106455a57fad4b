"""The image that workflows/container makes, as far as it can be made without a base image."""
