"""te to loop: canonical nests, one for each compute."""
