"""What is worth telling a person, in which words, once a cause. Where it is kept and how it is sent is elsewhere."""
