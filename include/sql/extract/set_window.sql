-- Purpose: bind the parameters of an extraction for the length of its transaction. PostgreSQL's COPY, which streams
--          the rows, takes no parameters itself; attempts.sql reads these settings.
-- Grain:   one row, ignored.
-- Parameters: window_start, window_end (timestamptz as text, the window is [start, end)); topics, exam_ids (JSON arrays;
--          an empty one is no filter).
select
    set_config('irt.window_start', %(window_start)s, true),
    set_config('irt.window_end', %(window_end)s, true),
    set_config('irt.topics', %(topics)s, true),
    set_config('irt.exam_ids', %(exam_ids)s, true)
