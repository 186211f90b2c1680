"""Analysis steps on plain arrays: the ESTKF, its localized form, and slow textbook twins for tests."""
