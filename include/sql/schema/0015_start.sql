-- Purpose: the receipt of a load names the parameters that its estimation could start from.
-- Grain:   irt.receipt: one load.

-- NULL for a load whose inputs were staged before there was a start.
alter table irt.receipt add column if not exists start_sha256 text;
