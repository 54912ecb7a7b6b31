"""Retail: sales and shipments become reorders and price adjustments."""
