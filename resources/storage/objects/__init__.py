"""The files of a home: in its folder alone, or as a working copy of what an object store holds."""
