#include "base/assert.h"
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

/* ?1 category and ?2 currency, empty: any; ?3 whose; ?4 with private; ?5 scheduled ones, not live;
 * ?6 now; ?7 after key and ?8 after id; ?9 rows; ?10 words. What narrows a list most is in its
 * text, since one plan serves all values: an OR with "any" would read every auction. */
#define FILTERS                                                                                    \
    "(?1 = '' OR category = ?1) AND (?2 = '' OR currency = ?2) AND (?4 = 1 OR is_private = 0) "
#define FTS5_WORDS     "AND id IN (SELECT rowid FROM auction_words WHERE auction_words MATCH ?10) "
/* Read once, not for every row. */
#define POSTGRES_WORDS "AND words @@ (SELECT search_words(?10)) "

/* Those that are not over have small indexes of their own. */
#define ANY_PHASE "AND status > 0 "
#define OPEN      "AND status IN (1, 2) AND (starts_at_us > ?6) = (?5 = 1) "
#define OVER      "AND status >= 3 "

#define ALL     ""
#define SELLER  "AND seller = ?3 "
#define BIDDER  "AND id IN (SELECT auction FROM bids WHERE bidder = ?3) "
/* Kept to 1,000 a user. */
#define WATCHER "AND id IN (SELECT auction FROM watches WHERE \"user\" = ?3) "

#define UP(key)   "AND (" key ", id) > (?7, ?8) ORDER BY " key ", id LIMIT ?9"
#define DOWN(key) "AND (" key ", id) < (?7, ?8) ORDER BY " key " DESC, id DESC LIMIT ?9"

/* `nothing` and `never` behind a key keep the database from walking all auctions in the order of an
 * index to find the few of one user, or with one word: those are read and sorted. */
#define NEVER " + 0"
#define LIST(whose, phase, order, key, nothing)                                                    \
    {                                                                                              \
        [MATCH_ALL] = QB_LISTING_COLUMNS "WHERE " FILTERS whose phase order(key nothing),          \
        [MATCH_SQLITE] =                                                                           \
            QB_LISTING_COLUMNS "WHERE " FILTERS whose phase FTS5_WORDS order(key NEVER),           \
        [MATCH_POSTGRES] =                                                                         \
            QB_LISTING_COLUMNS "WHERE " FILTERS whose phase POSTGRES_WORDS order(key NEVER),       \
    }
#define SORTS(whose, phase, nothing, never)                                                        \
    {                                                                                              \
        [QB_SORT_ENDING_SOON] = LIST(whose, phase, UP, "ends_at_us", nothing),                     \
        [QB_SORT_NEWEST] = LIST(whose, phase, DOWN, "created_us", nothing),                        \
        [QB_SORT_PRICE_UP] = LIST(whose, phase, UP, "sort_price", never),                          \
        [QB_SORT_PRICE_DOWN] = LIST(whose, phase, DOWN, "sort_price", never),                      \
    }
#define PHASES(whose, nothing, never)                                                              \
    {                                                                                              \
        [QB_PHASE_ANY] = SORTS(whose, ANY_PHASE, nothing, never),                                  \
        [QB_PHASE_SCHEDULED] = SORTS(whose, OPEN, nothing, never),                                 \
        [QB_PHASE_LIVE] = SORTS(whose, OPEN, nothing, never),                                      \
        [QB_PHASE_OVER] = SORTS(whose, OVER, nothing, never),                                      \
    }

enum whose { WHOSE_ALL, WHOSE_SELLER, WHOSE_BIDDER, WHOSE_WATCHER };

static const char *const list_sql[4][4][4][MATCHES] = {
    [WHOSE_ALL] = PHASES(ALL, "", ""),
    [WHOSE_SELLER] = PHASES(SELLER, "", NEVER),
    [WHOSE_BIDDER] = PHASES(BIDDER, NEVER, NEVER),
    [WHOSE_WATCHER] = PHASES(WATCHER, NEVER, NEVER),
};

static enum whose whose_of(const struct qb_listing_query *wanted, qb_id *user)
{
    QB_ASSERT((wanted->seller != 0) + (wanted->bidder != 0) + (wanted->watcher != 0) <= 1);
    *user = wanted->seller + wanted->bidder + wanted->watcher;
    if (wanted->seller != 0) return WHOSE_SELLER;
    if (wanted->bidder != 0) return WHOSE_BIDDER;
    return wanted->watcher != 0 ? WHOSE_WATCHER : WHOSE_ALL;
}

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
    unsigned sort = wanted->sort & 3U;
    bool is_down = sort == QB_SORT_NEWEST || sort == QB_SORT_PRICE_DOWN;
    bool is_first = wanted->after_id == 0;
    qb_id user = 0;
    enum whose whose = whose_of(wanted, &user);
    struct qb_statement *query =
        qb_sql(link->sql, list_sql[whose][wanted->phase & 3U][sort][match]);
    enum qb_step step = QB_STEP_DONE;
    struct qb_listing listing;

    qb_bind_text(query, 1, wanted->category != NULL ? wanted->category : "");
    qb_bind_text(query, 2, wanted->currency != NULL ? wanted->currency : "");
    qb_bind_int(query, 3, (int64_t)user);
    qb_bind_int(query, 4, wanted->with_private);
    qb_bind_int(query, 5, wanted->phase == QB_PHASE_SCHEDULED);
    qb_bind_int(query, 6, wanted->now_us);
    qb_bind_int(query, 7, !is_first ? wanted->after_key : is_down ? INT64_MAX : INT64_MIN);
    qb_bind_int(query, 8, (int64_t)wanted->after_id);
    qb_bind_int(query, 9, (int64_t)rows);
    if (match != MATCH_ALL) qb_bind_text(query, 10, words.bytes);
    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        qb_store_read_listing(query, &listing);
        if (!each(context, &listing, sort_key(&listing, (enum qb_listing_sort)sort))) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}
