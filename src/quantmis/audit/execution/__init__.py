"""What an audit computes: the plan, groups of models, the store of finished work, and where work is done."""
