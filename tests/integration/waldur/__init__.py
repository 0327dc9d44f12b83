"""The tools of Waldur, on a stand-in of its views."""
