"""Pictures and sounds from untrusted bytes, decoded in a process of their own that has limits."""
