/*
 * The settings, from settings.def: flag over environment over default. A wrong one is an error
 * that says which, why, and the nearest name.
 *
 * At start, one thread; afterwards read-only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

#define QB_SETTING_TEXT_BYTES 4096

#define QB_SETTING_FIELD_COUNT(name)  int64_t name;
#define QB_SETTING_FIELD_BYTES(name)  int64_t name;
#define QB_SETTING_FIELD_MS(name)     int64_t name;
#define QB_SETTING_FIELD_TEXT(name)   char name[QB_SETTING_TEXT_BYTES];
#define QB_SETTING_FIELD_SECRET(name) char name[QB_SETTING_TEXT_BYTES];

struct qb_settings {
#define QB_SETTINGS(title)
#define QB_SETTING(kind, name, initial, least, most, platform, help) QB_SETTING_FIELD_##kind(name)
#include "app/settings.def"
};

/*
 * Reads flags ("--port 4011", "--port=4011") and the environment.
 *
 * arguments    behind the command's name
 * environment  like environ
 */
QB_MUST_USE bool qb_settings_read(struct qb_settings *settings, int argument_count,
                                  char *const *arguments, char *const *environment,
                                  struct qb_error *error);

/* Whether Postgres, Redis and RabbitMQ are named; they are so together. */
QB_MUST_USE bool qb_settings_have_services(const struct qb_settings *settings);

/* The value of a setting that is a number. False: there is none of that name. */
QB_MUST_USE bool qb_settings_number(const struct qb_settings *settings, const char *name,
                                    int64_t *number);

/* The table for --help, and as Markdown for docs/operations.md. */
void qb_settings_help(struct qb_text *text);
void qb_settings_docs(struct qb_text *text);

/* One log line with all settings that are not at their default, secrets masked. */
void qb_settings_log(const struct qb_settings *settings);
