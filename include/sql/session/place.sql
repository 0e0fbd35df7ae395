-- Purpose: where tables without a schema are found.
-- Grain:   one row: the database, and the first schema of the search path.
-- Parameters: none.
select current_database() as name, current_schema() as schema_name
