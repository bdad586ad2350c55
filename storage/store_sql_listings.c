#include "base/text.h"
#include "storage/store_sql_parts.h"

#define SEARCH_WORDS_MAX      8
#define SEARCH_WORD_BYTES_MAX 120

/* How the words of a search are given to the database, if there are any. */
enum match { MATCH_ALL, MATCH_SQLITE, MATCH_POSTGRES, MATCHES };

/* What stands around a word: for FTS5 quotes, so that nothing in it is an operator, and the sign of
 * a prefix. Postgres gets the words as they are: search_words() of its migrations reads them. */
static const struct {
    enum match match;
    const char *before;
    const char *after;
} styles[QB_SQL_DIALECTS] = {
    [QB_SQL_SQLITE] = {MATCH_SQLITE, "\"", "\"* "},
    [QB_SQL_POSTGRES] = {MATCH_POSTGRES, "", " "},
};

static void add_word(enum qb_sql_dialect dialect, const char *word, size_t length,
                     struct qb_text *query)
{
    size_t cut = length < SEARCH_WORD_BYTES_MAX ? length : SEARCH_WORD_BYTES_MAX;

    while (cut < length && cut > 0 && ((uint8_t)word[cut] & 0xc0) == 0x80) cut--;
    /* Postgres takes no text that is not UTF-8; such a word is in no listing. */
    if (dialect == QB_SQL_POSTGRES && !qb_utf8_is_valid(word, cut)) cut = 0;
    qb_text_string(query, styles[dialect].before);
    for (size_t i = 0; i < cut; i++) {
        if (word[i] == '"' && dialect == QB_SQL_SQLITE) qb_text_add(query, "\"", 1);
        qb_text_add(query, &word[i], 1);
    }
    qb_text_string(query, styles[dialect].after);
}

static enum match words_query(enum qb_sql_dialect dialect, const char *search,
                              struct qb_text *query)
{
    unsigned words = 0;

    for (const char *at = search; at != NULL && words < SEARCH_WORDS_MAX; words++) {
        while (*at != '\0' && (uint8_t)*at <= ' ') at++;
        size_t length = 0;
        while ((uint8_t)at[length] > ' ') length++;
        if (length == 0) break;
        add_word(dialect, at, length, query);
        at += length;
    }
    return words > 0 ? styles[dialect].match : MATCH_ALL;
}

/* Filters that are not wanted are bound as empty or 0. ?1 category, ?2 currency, ?3 seller,
 * ?4 bidder, ?5 watcher, ?6 with private, ?7 phase, ?8 now, ?9 after key, ?10 after id, ?11 rows,
 * ?12 words. */
#define FILTERS                                                                                    \
    "status > 0 AND (?1 = '' OR category = ?1) AND (?2 = '' OR currency = ?2) "                    \
    "AND (?3 = 0 OR seller = ?3) "                                                                 \
    "AND (?4 = 0 OR id IN (SELECT auction FROM bids WHERE bidder = ?4)) "                          \
    "AND (?5 = 0 OR id IN (SELECT auction FROM watches WHERE \"user\" = ?5)) "                     \
    "AND (?6 = 1 OR is_private = 0) "                                                              \
    "AND (?7 = 0 OR (?7 = 1 AND status < 3 AND starts_at_us > ?8) "                                \
    "OR (?7 = 2 AND status < 3 AND starts_at_us <= ?8) OR (?7 = 3 AND status >= 3)) "
#define FTS5_WORDS     "AND id IN (SELECT rowid FROM auction_words WHERE auction_words MATCH ?12) "
#define POSTGRES_WORDS "AND words @@ search_words(?12) "
#define UP(key)                                                                                    \
    "AND (?10 = 0 OR " key " > ?9 OR (" key " = ?9 AND id > ?10)) ORDER BY " key ", id LIMIT ?11"
#define DOWN(key)                                                                                  \
    "AND (?10 = 0 OR " key " < ?9 OR (" key " = ?9 AND id < ?10)) "                                \
    "ORDER BY " key " DESC, id DESC LIMIT ?11"

#define LIST(order)                                                                                \
    {                                                                                              \
        [MATCH_ALL] = QB_LISTING_COLUMNS "WHERE " FILTERS order,                                   \
        [MATCH_SQLITE] = QB_LISTING_COLUMNS "WHERE " FILTERS FTS5_WORDS order,                     \
        [MATCH_POSTGRES] = QB_LISTING_COLUMNS "WHERE " FILTERS POSTGRES_WORDS order,               \
    }

static const char *const list_sql[4][MATCHES] = {
    [QB_SORT_ENDING_SOON] = LIST(UP("ends_at_us")),
    [QB_SORT_NEWEST] = LIST(DOWN("created_us")),
    [QB_SORT_PRICE_UP] = LIST(UP("sort_price")),
    [QB_SORT_PRICE_DOWN] = LIST(DOWN("sort_price")),
};

static int64_t sort_key(const struct qb_listing *listing, enum qb_listing_sort sort)
{
    if (sort == QB_SORT_ENDING_SOON) return listing->ends_at_us;
    if (sort == QB_SORT_NEWEST) return listing->created_us;
    if (listing->final_price >= 0) return listing->final_price;
    return listing->price >= 0 ? listing->price : listing->start_price;
}

enum qb_store_result qb_store_listings(struct qb_store_link *link,
                                       const struct qb_listing_query *wanted,
                                       qb_store_listing *each, void *context,
                                       struct qb_error *error)
{
    enum qb_sql_dialect dialect = link->sql->driver->dialect;
    QB_CLEANUP(qb_text_fini) struct qb_text words = {0};
    enum match match = words_query(dialect, wanted->search, &words);
    size_t rows = wanted->rows_max < QB_PAGE_ROWS_MAX ? wanted->rows_max : QB_PAGE_ROWS_MAX;
    struct qb_statement *query = qb_sql(link->sql, list_sql[wanted->sort & 3][match]);
    enum qb_step step = QB_STEP_DONE;
    struct qb_listing listing;

    qb_bind_text(query, 1, wanted->category != NULL ? wanted->category : "");
    qb_bind_text(query, 2, wanted->currency != NULL ? wanted->currency : "");
    qb_bind_int(query, 3, (int64_t)wanted->seller);
    qb_bind_int(query, 4, (int64_t)wanted->bidder);
    qb_bind_int(query, 5, (int64_t)wanted->watcher);
    qb_bind_int(query, 6, wanted->with_private);
    qb_bind_int(query, 7, wanted->phase);
    qb_bind_int(query, 8, wanted->now_us);
    qb_bind_int(query, 9, wanted->after_key);
    qb_bind_int(query, 10, (int64_t)wanted->after_id);
    qb_bind_int(query, 11, (int64_t)rows);
    if (match != MATCH_ALL) qb_bind_text(query, 12, words.bytes);
    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        qb_store_read_listing(query, &listing);
        if (!each(context, &listing, sort_key(&listing, (enum qb_listing_sort)wanted->sort))) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}
