"""Workers of a batch: other processes, also on other machines, that run its items for the coordinator"""
