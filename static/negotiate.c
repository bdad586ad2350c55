#include "static/negotiate.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define Q_MAX   1000 /* q-values have three decimals */
#define Q_UNSET (-1)

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_spaces(const char *at, const char *end)
{
    while (at < end && is_space(*at)) at++;
    return at;
}

static const char *trim_end(const char *at, const char *end)
{
    while (end > at && is_space(end[-1])) end--;
    return end;
}

/* The first `c` before `end`, or null. */
static const char *find(const char *at, const char *end, char c)
{
    while (at < end && *at != c) at++;
    return at < end ? at : NULL;
}

/* "0", "0.25", "1", "1.000"; Q_UNSET for anything else. */
static int q_of(const char *at, const char *end)
{
    int q = 0;
    int weight = 100;

    if (at == end || (*at != '0' && *at != '1')) return Q_UNSET;
    q = (*at - '0') * Q_MAX;
    at++;
    if (at == end) return q;
    if (*at != '.' || end - at > 4) return Q_UNSET;
    for (at++; at < end; at++) {
        if (!is_digit(*at)) return Q_UNSET;
        q += (*at - '0') * weight;
        weight /= 10;
    }
    return q <= Q_MAX ? q : Q_UNSET;
}

/* The weight of one element of the list, whose coding ends at `*name_end`. */
static int weight_of(const char *at, const char *end, const char **name_end)
{
    const char *semicolon = find(at, end, ';');

    *name_end = trim_end(at, semicolon != NULL ? semicolon : end);
    if (semicolon == NULL) return Q_MAX;
    at = skip_spaces(semicolon + 1, end);
    if (end - at < 2 || (*at != 'q' && *at != 'Q')) return Q_UNSET;
    at = skip_spaces(at + 1, end);
    if (at == end || *at != '=') return Q_UNSET;
    at = skip_spaces(at + 1, end);
    return q_of(at, trim_end(at, end));
}

static bool is_name(const char *at, const char *end, const char *name)
{
    size_t length = (size_t)(end - at);

    return length == strlen(name) && strncasecmp(at, name, length) == 0;
}

/* The weights that a list gives to each encoding and to `*`; Q_UNSET where it says nothing. */
static void read_weights(const char *list, int weights[QB_PACK_ENCODINGS], int *any)
{
    const char *at = list;
    const char *list_end = list + strlen(list);

    while (at < list_end) {
        const char *comma = find(at, list_end, ',');
        const char *end = comma != NULL ? comma : list_end;
        const char *name_end = NULL;
        at = skip_spaces(at, end);
        int q = weight_of(at, end, &name_end);

        if (q == Q_UNSET) {
            at = end + 1;
            continue;
        }
        if (is_name(at, name_end, "br"))
            weights[QB_PACK_BROTLI] = q;
        else if (is_name(at, name_end, "gzip"))
            weights[QB_PACK_GZIP] = q;
        else if (is_name(at, name_end, "x-gzip"))
            weights[QB_PACK_GZIP] = q;
        else if (is_name(at, name_end, "identity"))
            weights[QB_PACK_IDENTITY] = q;
        else if (is_name(at, name_end, "*"))
            *any = q;
        at = end + 1;
    }
}

enum qb_pack_encoding qb_negotiate_encoding(const char *accept_encoding,
                                            const bool offered[QB_PACK_ENCODINGS])
{
    int weights[QB_PACK_ENCODINGS] = {Q_UNSET, Q_UNSET, Q_UNSET};
    int any = Q_UNSET;
    int best_weight = 0;
    enum qb_pack_encoding best = QB_PACK_ENCODINGS;

    if (accept_encoding != NULL) read_weights(accept_encoding, weights, &any);
    for (int i = 0; i < QB_PACK_ENCODINGS; i++) {
        int weight = weights[i] != Q_UNSET ? weights[i] : any;
        /* Identity is allowed unless it is ruled out, but anything asked for comes first. */
        if (i == QB_PACK_IDENTITY && weight == Q_UNSET) weight = 1;
        if (!offered[i] || weight <= best_weight) continue;
        best = (enum qb_pack_encoding)i;
        best_weight = weight;
    }
    return best;
}

bool qb_negotiate_etag(const char *list, const char *etag)
{
    if (list == NULL) return false;
    size_t etag_length = strlen(etag);
    const char *end = list + strlen(list);
    const char *at = skip_spaces(list, end);

    if (is_name(at, trim_end(at, end), "*")) return true;
    while (at < end) {
        at = skip_spaces(at, end);
        if (end - at >= 2 && at[0] == 'W' && at[1] == '/') at += 2;
        if (at == end || *at != '"') return false;
        const char *close = find(at + 1, end, '"');
        if (close == NULL) return false;
        size_t length = (size_t)(close + 1 - at);
        if (length == etag_length && memcmp(at, etag, length) == 0) return true;
        at = skip_spaces(close + 1, end);
        if (at < end && *at != ',') return false;
        at = at < end ? at + 1 : at;
    }
    return false;
}

/* Reads digits up to the first other character. False if there are none or too many. */
static bool read_count(const char **at, uint64_t *count)
{
    const char *start = *at;

    *count = 0;
    while (is_digit(**at)) {
        *count = *count * 10 + (uint64_t)(**at - '0');
        (*at)++;
        if (*at - start > 18) return false;
    }
    return *at > start;
}

enum qb_range_outcome qb_negotiate_range(const char *range, size_t body_bytes, size_t *first,
                                         size_t *length)
{
    uint64_t from = 0;
    uint64_t to = UINT64_MAX;

    if (range == NULL || strncasecmp(range, "bytes=", 6) != 0) return QB_RANGE_NONE;
    const char *at = range + 6;
    bool has_from = read_count(&at, &from);
    if (*at != '-') return QB_RANGE_NONE;
    at++;
    bool has_to = read_count(&at, &to);
    if (*at != '\0' || (!has_from && !has_to)) return QB_RANGE_NONE;
    if (!has_from) { /* the last `to` bytes */
        if (to == 0 || body_bytes == 0) return QB_RANGE_UNSATISFIABLE;
        from = to < body_bytes ? body_bytes - to : 0;
        to = UINT64_MAX;
    } else if (!has_to) {
        to = UINT64_MAX;
    }
    if (to < from) return QB_RANGE_NONE;
    if (from >= body_bytes) return QB_RANGE_UNSATISFIABLE;
    *first = (size_t)from;
    *length = to >= body_bytes ? body_bytes - *first : (size_t)(to - from) + 1;
    return QB_RANGE_PART;
}
