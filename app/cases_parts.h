/*
 * The parts of a case file, one function for each kind of case; private to app/cases*.c.
 */
#pragma once

#include "base/json.h"
#include "base/text.h"
#include "bidding/rules.h"

/* Each runs one case: true when it passes, else `why` says what was expected and seen. */
bool qb_case_events(const struct qb_json *file, const struct qb_json *one, struct qb_text *why);
bool qb_case_vector(const struct qb_json *file, const struct qb_json *vectors,
                    const struct qb_json *row, struct qb_text *why);
bool qb_case_clock(const struct qb_json *one, struct qb_text *why);
bool qb_case_payment(const struct qb_json *one, struct qb_text *why);

/* --- helpers --- */

/* The member as an integer, or `otherwise` when it is absent or null. */
int64_t qb_case_int(const struct qb_json *object, const char *name, int64_t otherwise);
/* The member, in milliseconds, as microseconds; what lies beyond all dates is cut to the last. */
int64_t qb_case_time_us(const struct qb_json *object, const char *name, int64_t otherwise_ms);
/* Whether the member is there and true. */
bool qb_case_is_true(const struct qb_json *object, const char *name);
/* The member as text, or `otherwise`. */
const char *qb_case_text(const struct qb_json *object, const char *name, const char *otherwise);
/* The increment table that `settings` name: in the file, else a preset; or rows in place. */
QB_MUST_USE bool qb_case_table(const struct qb_json *file, const struct qb_json *settings,
                               const char *member, struct qb_increment_table *table);
/* Start, end and soft close as `settings` give them. */
void qb_case_schedule(const struct qb_json *settings, struct qb_rules *rules);
/* Whether amounts and times of `rules` are such that the fold takes them. More than the product
 * lets anybody open: a case may try what lies outside. */
bool qb_case_rules_are_sound(const struct qb_rules *rules);
/* One line of `why`. */
void qb_case_differs(struct qb_text *why, const char *where, const char *what, const char *expected,
                     const char *seen);
void qb_case_differs_int(struct qb_text *why, const char *where, const char *what, int64_t expected,
                         int64_t seen);
