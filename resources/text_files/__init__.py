"""Text and Parquet files of users as typed columns: the dialect, the values, the names of columns, and errors that
name file, line and column."""
