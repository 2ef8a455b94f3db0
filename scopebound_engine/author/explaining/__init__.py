"""Why a call is decided as it is, and the smallest change that would turn a denial."""
