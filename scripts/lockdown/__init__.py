"""The locked-down container, as the documentation tells people to run it: started, entered, stopped and measured."""
