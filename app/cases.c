#include "app/cases.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cases_parts.h"
#include "base/assert.h"
#include "base/clock.h"

#define FILE_BYTES_MAX (64U << 20)

int64_t qb_case_int(const struct qb_json *object, const char *name, int64_t otherwise)
{
    int64_t value = otherwise;

    return qb_json_integer(qb_json_member(object, name), &value) ? value : otherwise;
}

int64_t qb_case_time_us(const struct qb_json *object, const char *name, int64_t otherwise_ms)
{
    const int64_t last_ms = INT64_C(1) << 50;
    int64_t time_ms = qb_case_int(object, name, otherwise_ms);

    if (time_ms > last_ms) time_ms = last_ms;
    if (time_ms < -last_ms) time_ms = -last_ms;
    return time_ms * QB_MS_US;
}

void qb_case_schedule(const struct qb_json *settings, struct qb_rules *rules)
{
    const struct qb_json *soft = qb_json_member(settings, "soft_close");

    rules->starts_at_us = qb_case_time_us(settings, "starts_at", 0);
    rules->ends_at_us = qb_case_time_us(settings, "ends_at", 0);
    rules->soft_window_us = qb_case_time_us(soft, "window_ms", 0);
    rules->soft_extend_us = qb_case_time_us(soft, "extend_ms", 0);
    rules->max_extensions = (uint32_t)qb_case_int(soft, "max_extensions", 0);
    rules->hard_end_us = qb_case_time_us(soft, "hard_end", 0);
}

bool qb_case_rules_are_sound(const struct qb_rules *rules)
{
    const struct qb_increment_table *table = &rules->table;
    bool is_sound = rules->tick >= 1 && rules->start_price >= 1 &&
                    rules->start_price <= QB_AMOUNT_MAX && rules->drain_us >= 0;

    for (size_t i = 0; i < table->row_count; i++) {
        int64_t step = table->rows[i].step;
        is_sound = is_sound && step >= 1 && step <= QB_AMOUNT_MAX;
    }
    return is_sound;
}

bool qb_case_is_true(const struct qb_json *object, const char *name)
{
    bool is_true = false;

    return qb_json_bool(qb_json_member(object, name), &is_true) && is_true;
}

const char *qb_case_text(const struct qb_json *object, const char *name, const char *otherwise)
{
    const char *text = qb_json_string(qb_json_member(object, name), NULL);
    return text != NULL ? text : otherwise;
}

static bool table_rows(const struct qb_json *rows, struct qb_increment_table *table)
{
    (void)memset(table, 0, sizeof *table);
    if (rows == NULL || qb_json_kind_of(rows) != QB_JSON_ARRAY) return false;
    if (qb_json_count(rows) == 0 || qb_json_count(rows) > QB_INCREMENT_ROWS_MAX) return false;
    for (size_t i = 0; i < qb_json_count(rows); i++) {
        const struct qb_json *row = qb_json_element(rows, i);
        if (qb_json_kind_of(row) != QB_JSON_ARRAY || qb_json_count(row) != 2) return false;
        if (!qb_json_integer(qb_json_element(row, 0), &table->rows[i].from)) return false;
        if (!qb_json_integer(qb_json_element(row, 1), &table->rows[i].step)) return false;
        table->row_count++;
    }
    return true;
}

bool qb_case_table(const struct qb_json *file, const struct qb_json *settings, const char *member,
                   struct qb_increment_table *table)
{
    const struct qb_json *named = qb_json_member(settings, member);
    const char *name = qb_json_string(named, NULL);
    char currency[QB_CURRENCY_BYTES] = "USD";
    int64_t percent = qb_case_int(settings, "increment_percent", 0);

    if (percent > 0 && percent <= 100) {
        (void)memset(table, 0, sizeof *table);
        table->percent = (uint8_t)percent;
        return true;
    }
    if (named != NULL && name == NULL) {
        percent = qb_case_int(named, "percent", 0);
        if (percent < 1 || percent > 100) return table_rows(named, table);
        (void)memset(table, 0, sizeof *table);
        table->percent = (uint8_t)percent;
        return true;
    }
    if (name == NULL) name = "EBAY_US";
    const struct qb_json *rows = qb_json_member(qb_json_member(file, "increment_tables"), name);
    if (rows != NULL) return table_rows(rows, table);
    const char *code = qb_case_text(settings, "currency", "USD");
    if (strlen(code) == 3) (void)memcpy(currency, code, sizeof currency);
    int decimals = qb_currency_decimals(currency);
    return qb_increment_preset(name, decimals >= 0 ? decimals : 2, table);
}

void qb_case_differs(struct qb_text *why, const char *where, const char *what, const char *expected,
                     const char *seen)
{
    qb_text_format(why, "    %s: %s: expected %s, seen %s\n", where, what,
                   expected != NULL ? expected : "null", seen != NULL ? seen : "null");
}

void qb_case_differs_int(struct qb_text *why, const char *where, const char *what, int64_t expected,
                         int64_t seen)
{
    qb_text_format(why, "    %s: %s: expected %lld, seen %lld\n", where, what, (long long)expected,
                   (long long)seen);
}

struct tally {
    unsigned passed;
    unsigned failed;
};

static void count(struct tally *tally, const struct qb_json *one, const char *kind, size_t number,
                  bool is_good, struct qb_text *why)
{
    if (is_good)
        tally->passed++;
    else
        tally->failed++;
    if (!is_good) {
        const char *id = qb_case_text(one, "id", NULL);
        char name[64];
        (void)snprintf(name, sizeof name, "%s %zu", kind, number + 1);
        (void)printf("FAILED %s %s\n%s", id != NULL ? id : name, qb_case_text(one, "title", ""),
                     why->bytes != NULL ? why->bytes : "");
    }
    qb_text_fini(why);
}

static void run_file(const struct qb_json *file, struct tally *tally)
{
    struct qb_text why = {0};
    const struct qb_json *list = qb_json_member(file, "cases");

    for (size_t i = 0; i < qb_json_count(list); i++) {
        const struct qb_json *one = qb_json_element(list, i);
        count(tally, one, "case", i, qb_case_events(file, one, &why), &why);
    }
    const struct qb_json *vectors = qb_json_member(file, "price_vectors");
    list = qb_json_member(vectors, "rows");
    for (size_t i = 0; i < qb_json_count(list); i++) {
        const struct qb_json *one = qb_json_element(list, i);
        count(tally, one, "price vector", i, qb_case_vector(file, vectors, one, &why), &why);
    }
    list = qb_json_member(file, "clock_cases");
    for (size_t i = 0; i < qb_json_count(list); i++) {
        const struct qb_json *one = qb_json_element(list, i);
        count(tally, one, "clock case", i, qb_case_clock(one, &why), &why);
    }
    list = qb_json_member(file, "payment_cases");
    for (size_t i = 0; i < qb_json_count(list); i++) {
        const struct qb_json *one = qb_json_element(list, i);
        count(tally, one, "payment case", i, qb_case_payment(one, &why), &why);
    }
}

/* The whole file, or null with `error` set. */
static char *read_file(const char *path, size_t *length, struct qb_error *error)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = NULL;

    if (file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_size > (off_t)FILE_BYTES_MAX) {
        (void)qb_error_set(error, "%s: not a file that can be read (at most 64 MiB)", path);
    } else {
        *length = (size_t)status.st_size;
        bytes = malloc(*length + 1);
        QB_ASSERT(bytes != NULL);
        size_t got = 0;
        ssize_t part = 1;
        while (got < *length && part > 0) {
            part = read(file, bytes + got, *length - got);
            if (part > 0) got += (size_t)part;
        }
        *length = got;
    }
    if (file >= 0) (void)close(file);
    return bytes;
}

int qb_cases_run(const char *path)
{
    static const char format[] = "quickbid-auction-cases/1";
    const struct qb_json_limits limits = {
        .bytes_max = FILE_BYTES_MAX, .depth_max = 32, .members_max = 8U << 20};
    struct qb_error error = {""};
    struct tally tally = {0};
    size_t length = 0;
    char *bytes = read_file(path, &length, &error);
    struct qb_json *file = bytes != NULL ? qb_json_parse(bytes, length, &limits, &error) : NULL;

    free(bytes);
    if (file != NULL && strcmp(qb_case_text(file, "format", ""), format) != 0) {
        (void)qb_error_set(&error, "%s: the format is not %s", path, format);
        qb_json_free(&file);
    }
    if (file == NULL) {
        (void)fprintf(stderr, "quickbid cases: %s\n", error.text);
        return 2;
    }
    run_file(file, &tally);
    qb_json_free(&file);
    (void)printf("%u passed, %u failed\n", tally.passed, tally.failed);
    return tally.failed > 0 || tally.passed == 0;
}
