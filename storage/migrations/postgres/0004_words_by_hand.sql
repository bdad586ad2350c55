-- The words of a text for the search: lower case, without accents and punctuation, parted by one space.
CREATE FUNCTION fold_words(said text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
RETURN regexp_replace(regexp_replace(normalize(lower(said), NFKD), '[\u0300-\u036f]', '', 'g'),
  '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u20a0-\u20cf\u3000-\u303f]+',
  ' ', 'g');

-- Built by hand: the parser of the database would take parts of a text for addresses and numbers.
-- Between title and description an empty word is counted, so that no phrase reaches across.
CREATE FUNCTION listing_words(title text, description text) RETURNS tsvector
IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
RETURN (SELECT coalesce(string_agg(quote_literal(left(word, 255)) || ':' || least(place, 16383), ' '), '')::tsvector
  FROM unnest(string_to_array(fold_words(title) || '  ' || fold_words(description), ' '))
    WITH ORDINALITY AS words (word, place)
  WHERE word <> '');

-- All words of a search, each as the beginning of one; one that punctuation parts is a phrase.
CREATE FUNCTION search_words(search text) RETURNS tsquery IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
RETURN (SELECT coalesce(string_agg(phrase, ' & '), '')::tsquery
  FROM (SELECT (SELECT string_agg(quote_literal(left(part, 255)), ' <-> ' ORDER BY place) || ':*'
      FROM unnest(string_to_array(fold_words(word), ' ')) WITH ORDINALITY AS parts (part, place)
      WHERE part <> '') AS phrase
    FROM unnest(string_to_array(search, ' ')) AS word) AS phrases
  WHERE phrase IS NOT NULL);

ALTER TABLE auctions ADD COLUMN words TSVECTOR NOT NULL
  GENERATED ALWAYS AS (listing_words(title, description)) STORED;
CREATE INDEX auctions_by_words ON auctions USING gin (words);
