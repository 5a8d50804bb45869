-- GoogleSQL behaviour that DuckDB's own functions do not have. Every macro is reached by a rule in rewrite.py.

CREATE MACRO gsql_int64(x) AS CASE typeof(x)
    WHEN 'DOUBLE' THEN CAST(round(CAST(x AS DOUBLE)) AS BIGINT) -- GoogleSQL rounds halves away from zero
    WHEN 'VARCHAR' THEN CASE
        WHEN x IS NULL THEN NULL
        WHEN regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*') THEN CAST(x AS BIGINT)
        ELSE CAST(error('Bad int64 value: ' || CAST(x AS VARCHAR)) AS BIGINT) END
    ELSE CAST(x AS BIGINT) END;

CREATE MACRO gsql_safe_int64(x) AS CASE typeof(x)
    WHEN 'DOUBLE' THEN TRY_CAST(round(TRY_CAST(x AS DOUBLE)) AS BIGINT)
    WHEN 'VARCHAR' THEN CASE
        WHEN regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*') THEN TRY_CAST(x AS BIGINT) END
    ELSE TRY_CAST(x AS BIGINT) END;

-- DuckDB reads 1_000, GoogleSQL does not.
CREATE MACRO gsql_float64(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' AND contains(CAST(x AS VARCHAR), '_')
        THEN CAST(error('Bad double value: ' || CAST(x AS VARCHAR)) AS DOUBLE)
    ELSE CAST(x AS DOUBLE) END;

CREATE MACRO gsql_safe_float64(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' AND contains(CAST(x AS VARCHAR), '_') THEN NULL
    ELSE TRY_CAST(x AS DOUBLE) END;

CREATE MACRO gsql_bool(x) AS CASE typeof(x)
    WHEN 'VARCHAR' THEN CASE lower(CAST(x AS VARCHAR))
        WHEN 'true' THEN true
        WHEN 'false' THEN false
        ELSE CASE WHEN x IS NOT NULL THEN CAST(error('Bad bool value: ' || CAST(x AS VARCHAR)) AS BOOLEAN) END END
    ELSE CAST(x AS BOOLEAN) END;

CREATE MACRO gsql_safe_bool(x) AS CASE typeof(x)
    WHEN 'VARCHAR' THEN CASE lower(CAST(x AS VARCHAR)) WHEN 'true' THEN true WHEN 'false' THEN false END
    ELSE TRY_CAST(x AS BOOLEAN) END;

-- The shorter of 15 and 17 digits that reads back as the same number.
CREATE MACRO gsql_float_text(x) AS CASE
    WHEN x IS NULL THEN NULL
    WHEN x = 0 THEN '0'
    WHEN isnan(x) THEN 'nan'
    WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'inf' ELSE '-inf' END
    WHEN CAST(printf('%.15g', x) AS DOUBLE) = x THEN printf('%.15g', x)
    ELSE printf('%.17g', x) END;

-- Whole seconds, milliseconds or microseconds, never another number of digits.
CREATE MACRO gsql_time_text(x) AS strftime(x, '%Y-%m-%d %H:%M:%S') || CASE
    WHEN epoch_us(x) % 1000000 = 0 THEN ''
    WHEN epoch_us(x) % 1000 = 0 THEN strftime(x, '.%g')
    ELSE strftime(x, '.%f') END;

CREATE MACRO gsql_string(x) AS CASE typeof(x)
    WHEN 'DOUBLE' THEN gsql_float_text(TRY_CAST(x AS DOUBLE))
    WHEN 'TIMESTAMP WITH TIME ZONE' THEN gsql_time_text(TRY_CAST(x AS TIMESTAMP)) || '+00'
    WHEN 'TIMESTAMP' THEN gsql_time_text(TRY_CAST(x AS TIMESTAMP))
    ELSE CAST(x AS VARCHAR) END;

-- DATE functions take a DATE or the text of one; a TIMESTAMP has functions of its own with another meaning.
CREATE MACRO gsql_date(x) AS CASE
    WHEN typeof(x) IN ('DATE', 'VARCHAR', '"NULL"') THEN CAST(x AS DATE)
    ELSE CAST(error('a function on DATE was given a ' || typeof(x) || '; use DATE(…) or the function on TIMESTAMP') AS DATE)
    END;

CREATE MACRO gsql_floor_div(x, n) AS (x - ((x % n) + n) % n) // n;

-- first_day: 0 is Sunday.
CREATE MACRO gsql_week_start(d, first_day) AS d - CAST((date_part('dow', d) - first_day + 7) % 7 AS INTEGER);

CREATE MACRO gsql_at(items, i) AS CASE
    WHEN i < 0 OR i >= len(items) THEN error('Array index ' || i || ' is out of bounds; use SAFE_OFFSET or SAFE_ORDINAL')
    ELSE items[CAST(i + 1 AS BIGINT)] END;

CREATE MACRO gsql_safe_at(items, i) AS CASE WHEN i >= 0 THEN items[CAST(i + 1 AS BIGINT)] END;

CREATE MACRO gsql_substr(s, start, n) AS CASE
    WHEN n < 0 THEN error('Third argument in SUBSTR() cannot be negative')
    WHEN start >= 0 THEN substring(s, CAST(greatest(start, 1) AS BIGINT), CAST(n AS BIGINT))
    ELSE substring(s, CAST(greatest(len(s) + start + 1, 1) AS BIGINT), CAST(n AS BIGINT)) END;

CREATE MACRO gsql_right(s, n) AS CASE
    WHEN n < 0 THEN error('Second argument in RIGHT() cannot be negative')
    ELSE right(s, CAST(n AS BIGINT)) END;

-- The value of a subquery that may give one row at most.
CREATE MACRO gsql_only(found) AS CASE
    WHEN len(found) > 1 THEN error('Scalar subquery produced more than one element')
    ELSE found[1] END;

CREATE MACRO gsql_farm_fingerprint(x) AS CASE typeof(x)
    WHEN 'BLOB' THEN farm_fingerprint_of_bytes(TRY_CAST(x AS BLOB))
    ELSE farm_fingerprint_of_bytes(encode(CAST(x AS VARCHAR))) END;

-- Objects and arrays are no scalar values, and what is no JSON has none.
CREATE MACRO gsql_json_value(x, path) AS CASE
    WHEN NOT json_valid(x) THEN NULL
    WHEN json_type(x, path) IN ('OBJECT', 'ARRAY') THEN NULL
    ELSE json_extract_string(x, path) END;
