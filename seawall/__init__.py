"""Seawall: does the venue keep paying when everyone withdraws at once while a provider fails?"""
