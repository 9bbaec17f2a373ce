"""`make bench`: the speed targets of the design, each beside its floor measured in the same run."""
