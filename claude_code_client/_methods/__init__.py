"""What the two clients can be asked for, a class for each subject."""
