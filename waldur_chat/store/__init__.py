"""What the database must do: one synchronous function per act, one transaction each."""
