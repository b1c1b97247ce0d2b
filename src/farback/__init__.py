"""How far back does each recurrent network remember?"""
