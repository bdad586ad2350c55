#include "base/log.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define FIELD_BYTES_MAX 256
#define EVENTS_LIMITED  64

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static enum qb_log_level lowest_level = QB_LOG_INFO;
static unsigned lines_per_second = 50;

/* How much each event name wrote in the current second; a small table, oldest name replaced. */
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *event;
    int64_t second;
    unsigned lines;
    unsigned held_back;
} limits[EVENTS_LIMITED];
static size_t limit_next;

void qb_log_setup(enum qb_log_level lowest, unsigned lines_per_second_max)
{
    lowest_level = lowest;
    lines_per_second = lines_per_second_max;
}

int qb_log_level_parse(const char *name)
{
    for (size_t i = 0; i < QB_COUNT(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) return (int)i;
    }
    return -1;
}

/* Whether one more line of `event` may be written; tells how many were not. */
static int admit(const char *event, unsigned *held_back)
{
    int64_t second = qb_clock_mono_us() / QB_SECOND_US;
    size_t at = 0;

    *held_back = 0;
    if (lines_per_second == 0) return 1;
    (void)pthread_mutex_lock(&limit_lock);
    while (at < EVENTS_LIMITED && limits[at].event != event) at++;
    if (at == EVENTS_LIMITED) {
        at = limit_next++ % EVENTS_LIMITED;
        limits[at].event = event;
        limits[at].second = 0;
        limits[at].held_back = 0;
    }
    if (limits[at].second != second) {
        limits[at].second = second;
        limits[at].lines = 0;
        *held_back = limits[at].held_back;
        limits[at].held_back = 0;
    }
    int is_admitted = limits[at].lines < lines_per_second;
    if (is_admitted)
        limits[at].lines++;
    else
        limits[at].held_back++;
    (void)pthread_mutex_unlock(&limit_lock);
    return is_admitted;
}

void qb_log_write(enum qb_log_level level, const char *event, const struct qb_log_field *fields,
                  size_t field_count)
{
    unsigned held_back = 0;
    char now[QB_TIME_TEXT_BYTES];
    struct qb_text line = {.bytes_max = 8192};

    if (level < lowest_level || !admit(event, &held_back)) return;
    qb_clock_text(qb_clock_wall_us(), now);
    qb_text_string(&line, "{");
    qb_text_json_text(&line, "time", now);
    qb_text_json_text(&line, "level", level_names[level]);
    qb_text_json_text(&line, "event", event);
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].text == NULL) {
            qb_text_json_int(&line, fields[i].name, fields[i].number);
        } else {
            qb_text_json_name(&line, fields[i].name);
            qb_text_json_string(&line, fields[i].text, strnlen(fields[i].text, FIELD_BYTES_MAX));
        }
    }
    if (held_back > 0) qb_text_json_int(&line, "held_back", held_back);
    qb_text_string(&line, "}\n");
    /* One write a line, so that threads do not mix; a log that cannot be written is lost. */
    if (!line.is_full && write(STDERR_FILENO, line.bytes, line.length) < 0) line.is_full = true;
    qb_text_fini(&line);
}
