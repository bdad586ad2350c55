/*
 * Structured log: one JSON object a line on standard error: time, level, event and typed fields.
 * An event is a name ("session.closed"), never a sentence with numbers in it. Each event name may
 * write `lines_per_second_max` lines a second; the next line of it says how many were held back.
 *
 * Never given: passwords, tokens, tickets, cookies, e-mails, query strings. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum qb_log_level { QB_LOG_DEBUG, QB_LOG_INFO, QB_LOG_WARNING, QB_LOG_ERROR };

struct qb_log_field {
    const char *name;
    const char *text; /* null: `number` */
    int64_t number;
};

#define QB_TEXT(field_name, value) ((struct qb_log_field){.name = (field_name), .text = (value)})
#define QB_INT(field_name, value)                                                                  \
    ((struct qb_log_field){.name = (field_name), .number = (int64_t)(value)})

/* Lowest level written, and lines a second for one event name (0: no limit). At start only. */
void qb_log_setup(enum qb_log_level lowest, unsigned lines_per_second_max);

/* `name` is one of debug, info, warning, error; returns -1 for others. */
int qb_log_level_parse(const char *name);

void qb_log_write(enum qb_log_level level, const char *event, const struct qb_log_field *fields,
                  size_t field_count);

/* qb_log(QB_LOG_INFO, "server.ready", QB_INT("port", port)); at least one field. */
#define qb_log(level, event, ...)                                                                  \
    qb_log_write((level), (event), (struct qb_log_field[]){__VA_ARGS__},                           \
                 sizeof(struct qb_log_field[]){__VA_ARGS__} / sizeof(struct qb_log_field))
