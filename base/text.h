/*
 * Text built up in a growing buffer with a limit, JSON included, and the small encodings: hex,
 * base64url, ids in base 32.
 *
 * A text past its limit stays at what fitted and says so in `is_full`; the caller looks once at
 * the end. Any thread; a text belongs to its caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

struct qb_text {
    char *bytes; /* ends in a zero byte that `length` does not count; null while empty */
    size_t length;
    size_t room;
    size_t bytes_max; /* 0: 16 MiB */
    bool is_full;     /* something did not fit */
};

void qb_text_fini(struct qb_text *text);
void qb_text_add(struct qb_text *text, const char *bytes, size_t length);
void qb_text_string(struct qb_text *text, const char *string);
void qb_text_format(struct qb_text *text, const char *format, ...) QB_PRINTF(2, 3);
void qb_text_int(struct qb_text *text, int64_t value);

/* A JSON string with its quotes; control characters and U+2028/9 escaped, bad UTF-8 replaced. */
void qb_text_json_string(struct qb_text *text, const char *string, size_t length);

/* `"name":` and a comma before it unless the text ends in an opening bracket. */
void qb_text_json_name(struct qb_text *text, const char *name);
/* Name and value at once. A null `value` is written as null. */
void qb_text_json_text(struct qb_text *text, const char *name, const char *value);
void qb_text_json_int(struct qb_text *text, const char *name, int64_t value);
void qb_text_json_bool(struct qb_text *text, const char *name, bool value);
void qb_text_json_null(struct qb_text *text, const char *name);
void qb_text_json_id(struct qb_text *text, const char *name, qb_id id); /* 0 is null */

#define QB_ID_TEXT_BYTES                                                                           \
    14 /* 13 characters of Crockford's base 32, lower case, and a zero byte                        \
        */

void qb_id_text(qb_id id, char text[QB_ID_TEXT_BYTES]);
/* False unless `text` of `length` is the one text of an id that is not 0. */
QB_MUST_USE bool qb_id_parse(const char *text, size_t length, qb_id *id);
/* A new id: 41 bits of milliseconds since 2024, then 22 random bits, so that ids sort by age. */
qb_id qb_id_new(void);

/* Lower-case hex; `text` has room for 2 * length + 1. */
void qb_hex(const void *bytes, size_t length, char *text);
QB_MUST_USE bool qb_hex_parse(const char *text, size_t length, uint8_t *bytes);

/* base64url without padding (RFC 4648 5). Room: 4 * ceil(length / 3) + 1. Returns the length. */
size_t qb_base64url(const void *bytes, size_t length, char *text);
/* Strict: no padding, no white space, no stray bits. `room` bytes at most. */
QB_MUST_USE bool qb_base64url_parse(const char *text, size_t length, uint8_t *bytes, size_t room,
                                    size_t *parsed);

/* Whether `bytes` is well-formed UTF-8 (no surrogates, nothing overlong). */
bool qb_utf8_is_valid(const char *bytes, size_t length);

/* Compares without telling by its time where two runs of bytes differ. */
bool qb_equal_secret(const void *a, const void *b, size_t length);
