"""`farback doctor`: `checkup` checks a store and repairs what is safe; the other modules are its checks."""
