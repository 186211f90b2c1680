"""Linear column physics about NRLMSIS: anomalies of temperature and composition, advanced by exact operators."""
