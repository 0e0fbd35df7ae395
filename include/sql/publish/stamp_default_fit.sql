-- Purpose: the same for the newest row of mirt_fit_meta.
-- Grain:   no row, or the row of the default bank's last publication.
-- Parameters: default_run_id, published_at, default_stamped_at.
update mirt_fit_meta
set fitted_at = %(default_stamped_at)s
where run_id = %(default_run_id)s and fitted_at <= %(published_at)s
