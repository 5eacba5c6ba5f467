"""Right and wrong backwards, as students write them: the checker must accept the first and reject and name the second."""
