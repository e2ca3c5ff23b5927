"""The very model that ships: its weights, its versions, and what is checked before it is attacked."""
