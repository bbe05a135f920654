"""Files of chains from elsewhere: layouts, pieces, staging, and the verdict before anything is stored."""
