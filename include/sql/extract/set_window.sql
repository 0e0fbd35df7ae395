-- Purpose: bind the parameters of an extraction for the length of its transaction. PostgreSQL's COPY, which streams
--          the rows, takes no parameters itself; the statements that follow read these settings.
-- Grain:   one row, ignored.
-- Parameters: window_start, window_end (timestamptz as text, the window is [start, end)); topics, exam_ids (JSON arrays;
--          an empty one is no filter); attempt_policy ('first' or 'last'); max_responses (0 is no limit).
select
    set_config('irt.window_start', %(window_start)s, true),
    set_config('irt.window_end', %(window_end)s, true),
    set_config('irt.topics', %(topics)s, true),
    set_config('irt.exam_ids', %(exam_ids)s, true),
    set_config('irt.attempt_policy', %(attempt_policy)s, true),
    set_config('irt.max_responses', %(max_responses)s, true)
