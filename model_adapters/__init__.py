"""Forecast models that obey the protocol of :mod:`da.model`, found by name in :mod:`model_adapters.registry`."""
