"""Is a store whole? `examination` looks, `mending` does what is safe, `farback doctor` shows both."""
