"""The command line ``ecgxai``: every verb is a thin wrapper around one call of the library."""
