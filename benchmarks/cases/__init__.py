"""The cases of the serving benchmark: each measures one claim."""
