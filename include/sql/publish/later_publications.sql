-- Purpose: publications of other banks after one of the default bank, and the stamps that they gave its rows.
-- Grain:   one publication, in order.
-- Parameters: publication_id.
select load_id, published_at, default_stamped_at
from irt.publication
where publication_id > %(publication_id)s and default_stamped_at is not null
order by publication_id
