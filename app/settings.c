#include "app/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/log.h"
#include "storage/ack.h"

enum kind { COUNT, BYTES, MS, TEXT, SECRET };

/* A default is a number or a text; the macro keeps whichever it is. */
#define NUMBER_COUNT(initial)  (initial)
#define NUMBER_BYTES(initial)  (initial)
#define NUMBER_MS(initial)     (initial)
#define NUMBER_TEXT(initial)   0
#define NUMBER_SECRET(initial) 0
#define TEXT_COUNT(initial)    NULL
#define TEXT_BYTES(initial)    NULL
#define TEXT_MS(initial)       NULL
#define TEXT_TEXT(initial)     (initial)
#define TEXT_SECRET(initial)   (initial)

static const struct row {
    enum kind kind;
    const char *title; /* of a group; then nothing else is set */
    const char *name;
    const char *platform;
    const char *help;
    const char *initial_text;
    int64_t initial;
    int64_t least;
    int64_t most;
    size_t offset;
} rows[] = {
#define QB_SETTINGS(group) {.title = (group)},
#define QB_SETTING(row_kind, row_name, row_initial, row_least, row_most, row_platform, row_help)   \
    {.kind = row_kind,                                                                             \
     .name = #row_name,                                                                            \
     .platform = (row_platform),                                                                   \
     .help = (row_help),                                                                           \
     .initial_text = TEXT_##row_kind(row_initial),                                                 \
     .initial = NUMBER_##row_kind(row_initial),                                                    \
     .least = (row_least),                                                                         \
     .most = (row_most),                                                                           \
     .offset = offsetof(struct qb_settings, row_name)},
#include "app/settings.def"
};

static bool is_text(const struct row *row)
{
    return row->kind == TEXT || row->kind == SECRET;
}

static int64_t *number_of(struct qb_settings *settings, const struct row *row)
{
    return (int64_t *)(void *)((char *)settings + row->offset);
}

static char *text_of(struct qb_settings *settings, const struct row *row)
{
    return (char *)settings + row->offset;
}

/* "--data-dir" and "QUICKBID_DATA_DIR" of "data_dir". */
static void flag_name(const char *name, char *flag, size_t room)
{
    size_t at = 0;

    for (; name[at] != '\0' && at + 1 < room; at++) flag[at] = name[at] == '_' ? '-' : name[at];
    flag[at] = '\0';
}

static void environment_name(const char *name, char *text, size_t room)
{
    static const char prefix[] = "QUICKBID_";
    size_t length = sizeof prefix - 1;

    (void)memcpy(text, prefix, length);
    for (size_t i = 0; name[i] != '\0' && length + 1 < room; i++) {
        text[length++] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 : name[i]);
    }
    text[length] = '\0';
}

/* Levenshtein distance, for the nearest name; names are short. */
static size_t distance(const char *a, const char *b)
{
    size_t row[65];
    size_t a_length = strnlen(a, 64);
    size_t b_length = strnlen(b, 64);

    for (size_t j = 0; j <= b_length; j++) row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[b_length];
}

static const struct row *nearest(const char *name)
{
    const struct row *best = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        if (rows[i].name == NULL) continue;
        size_t steps = distance(name, rows[i].name);
        if (steps < least) best = &rows[i];
        if (steps < least) least = steps;
    }
    return best;
}

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        if (rows[i].name != NULL && strcmp(rows[i].name, name) == 0) return &rows[i];
    }
    return NULL;
}

static bool set_number(struct qb_settings *settings, const struct row *row, const char *value,
                       const char *shown_as, struct qb_error *error)
{
    char *end = NULL;

    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || errno == ERANGE) {
        return qb_error_set(error, "%s: \"%.40s\" is not a whole number", shown_as, value);
    }
    if (number < row->least || number > row->most) {
        return qb_error_set(error, "%s: %lld is not between %lld and %lld", shown_as, number,
                            (long long)row->least, (long long)row->most);
    }
    *number_of(settings, row) = number;
    return true;
}

static bool set_text(struct qb_settings *settings, const struct row *row, const char *value,
                     const char *shown_as, struct qb_error *error)
{
    size_t length = strlen(value);

    if (length < (size_t)row->least || length > (size_t)row->most) {
        return qb_error_set(error, "%s: needs %lld to %lld characters, not %zu", shown_as,
                            (long long)row->least, (long long)row->most, length);
    }
    (void)memcpy(text_of(settings, row), value, length + 1);
    return true;
}

static bool set(struct qb_settings *settings, const struct row *row, const char *value,
                const char *shown_as, struct qb_error *error)
{
    if (is_text(row)) return set_text(settings, row, value, shown_as, error);
    return set_number(settings, row, value, shown_as, error);
}

/* A secret may stand in a file instead: QUICKBID_<NAME>_FILE. */
static bool set_from_file(struct qb_settings *settings, const struct row *row, const char *path,
                          const char *shown_as, struct qb_error *error)
{
    char value[QB_SETTING_TEXT_BYTES];
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0) return qb_error_set(error, "%s: cannot read %s", shown_as, path);
    ssize_t length = read(file, value, sizeof value - 1);
    (void)close(file);
    if (length < 0) return qb_error_set(error, "%s: cannot read %s", shown_as, path);
    while (length > 0 && (value[length - 1] == '\n' || value[length - 1] == '\r')) length--;
    value[length] = '\0';
    return set_text(settings, row, value, shown_as, error);
}

/* What Kubernetes itself injects for a Service of ours: QUICKBID_BACKEND_SERVICE_HOST, …_PORT… */
static bool is_injected(const char *name, const char *value)
{
    size_t length = strlen(name);
    bool is_port =
        strstr(name, "_PORT_") != NULL || (length > 5 && strcmp(&name[length - 5], "_PORT") == 0);

    return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
           (is_port && (strncmp(value, "tcp://", 6) == 0 || strstr(name, "_PORT_") != NULL));
}

/* Takes one "NAME=value" of the environment that begins with QUICKBID_. */
static bool take_variable(struct qb_settings *settings, const char *variable,
                          struct qb_error *error)
{
    char name[96];
    char lower[96] = "";
    const char *value = strchr(variable, '=');
    size_t length = value != NULL ? (size_t)(value - variable) : 0;

    if (value == NULL || value[1] == '\0') return true; /* empty counts as unset */
    value++;
    if (length >= sizeof name) length = sizeof name - 1;
    (void)memcpy(name, variable, length);
    name[length] = '\0';
    for (size_t i = 9; i < length; i++) {
        lower[i - 9] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
        lower[i - 8] = '\0';
    }
    if (is_injected(name, value)) return true;
    const struct row *row = find(lower);
    if (row != NULL) return set(settings, row, value, name, error);

    size_t short_length = strlen(lower);
    if (short_length > 5 && strcmp(&lower[short_length - 5], "_file") == 0) {
        lower[short_length - 5] = '\0';
        row = find(lower);
        if (row != NULL && row->kind == SECRET) {
            return set_from_file(settings, row, value, name, error);
        }
    }
    char meant[96];
    environment_name(nearest(lower)->name, meant, sizeof meant);
    return qb_error_set(error, "%s: no such setting; did you mean %s?", name, meant);
}

static bool take_environment(struct qb_settings *settings, char *const *environment,
                             struct qb_error *error)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) { /* the platform's own names first: ours win */
        const char *platform = rows[i].name != NULL ? rows[i].platform : "";
        size_t length = strlen(platform);
        for (char *const *at = environment; length > 0 && *at != NULL; at++) {
            bool is_it = strncmp(*at, platform, length) == 0 && (*at)[length] == '=';
            if (!is_it || (*at)[length + 1] == '\0') continue;
            QB_TRY(set(settings, &rows[i], &(*at)[length + 1], platform, error));
        }
    }
    for (char *const *at = environment; *at != NULL; at++) {
        if (strncmp(*at, "QUICKBID_", 9) == 0) QB_TRY(take_variable(settings, *at, error));
    }
    return true;
}

/* Takes the flag at `*at` and its value; moves `*at` behind both. */
static bool take_flag(struct qb_settings *settings, int argument_count, char *const *arguments,
                      int *at, struct qb_error *error)
{
    const char *argument = arguments[(*at)++];
    char name[96] = "";
    char shown_as[100];
    const char *value = strchr(argument, '=');

    if (strncmp(argument, "--", 2) != 0) {
        return qb_error_set(error, "\"%.60s\" is not a flag; flags begin with --", argument);
    }
    size_t length = value != NULL ? (size_t)(value - argument) - 2 : strlen(argument) - 2;
    for (size_t i = 0; i < length && i + 1 < sizeof name; i++) {
        name[i] = argument[i + 2] == '-' ? '_' : argument[i + 2];
    }
    const struct row *row = find(name);
    if (row == NULL) {
        char meant[96];
        flag_name(nearest(name)->name, meant, sizeof meant);
        return qb_error_set(error, "%.60s: no such flag; did you mean --%s?", argument, meant);
    }
    flag_name(row->name, shown_as + 2, sizeof shown_as - 2);
    shown_as[0] = shown_as[1] = '-';
    if (row->kind == SECRET) {
        return qb_error_set(error,
                            "%s: a secret on the command line is seen by everybody on this "
                            "machine; set it in the environment",
                            shown_as);
    }
    if (value == NULL && *at >= argument_count) {
        return qb_error_set(error, "%s: needs a value", shown_as);
    }
    value = value != NULL ? value + 1 : arguments[(*at)++];
    return set(settings, row, value, shown_as, error);
}

/* Alone, there is one way to be durable. */
static bool check_ack(const struct qb_settings *settings, struct qb_error *error)
{
    enum qb_ack ack = QB_ACK_JOURNAL;

    if (!qb_ack_parse(settings->ack, &ack))
        return qb_error_set(error, "--ack: \"%.20s\" is neither journal nor ledger", settings->ack);
    if (ack == QB_ACK_JOURNAL || qb_settings_have_services(settings)) return true;
    return qb_error_set(error, "--ack: ledger is of a cluster: set REDIS_URL, RABBITMQ_URL and "
                               "DATABASE_URL, or leave it out to run alone");
}

/* The three services are set together or not at all. */
static bool check_services(const struct qb_settings *settings, struct qb_error *error)
{
    const char *const values[] = {settings->database_url, settings->redis_url,
                                  settings->rabbitmq_url};
    static const char *const names[] = {"DATABASE_URL", "REDIS_URL", "RABBITMQ_URL"};
    size_t count = 0;

    for (size_t i = 0; i < 3; i++) count += values[i][0] != '\0';
    for (size_t i = 0; count > 0 && i < 3; i++) {
        if (values[i][0] != '\0') continue;
        return qb_error_set(error,
                            "%s: not set, but others of DATABASE_URL, REDIS_URL and "
                            "RABBITMQ_URL are; set all three, or none to run alone",
                            names[i]);
    }
    return true;
}

static bool check_proxies(const struct qb_settings *settings, struct qb_error *error)
{
    struct qb_ip_ranges ranges;

    if (qb_ip_ranges_parse(settings->trusted_proxies, &ranges, error)) return true;
    return qb_error_wrap(error, "--trusted-proxies");
}

bool qb_settings_read(struct qb_settings *settings, int argument_count, char *const *arguments,
                      char *const *environment, struct qb_error *error)
{
    (void)memset(settings, 0, sizeof *settings);
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        if (rows[i].name == NULL) continue;
        if (is_text(&rows[i]))
            QB_TRY(set_text(settings, &rows[i], rows[i].initial_text, "", error));
        else
            *number_of(settings, &rows[i]) = rows[i].initial;
    }
    QB_TRY(take_environment(settings, environment, error));
    for (int at = 0; at < argument_count;) {
        QB_TRY(take_flag(settings, argument_count, arguments, &at, error));
    }
    if (qb_log_level_parse(settings->log_level) < 0) {
        return qb_error_set(error, "--log-level: \"%.20s\" is none of debug, info, warning, error",
                            settings->log_level);
    }
    QB_TRY(check_proxies(settings, error));
    return check_services(settings, error) && check_ack(settings, error);
}

bool qb_settings_have_services(const struct qb_settings *settings)
{
    return settings->database_url[0] != '\0'; /* and so the others: see check_services */
}

bool qb_settings_number(const struct qb_settings *settings, const char *name, int64_t *number)
{
    const struct row *row = find(name);

    if (row == NULL || is_text(row)) return false;
    (void)memcpy(number, (const char *)settings + row->offset, sizeof *number);
    return true;
}

void qb_settings_help(struct qb_text *text)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        char flag[96];
        if (rows[i].title != NULL) {
            qb_text_format(text, "\n%s\n", rows[i].title);
            continue;
        }
        flag_name(rows[i].name, flag, sizeof flag);
        qb_text_format(text, "  --%-24s %s", flag, rows[i].help);
        if (!is_text(&rows[i]))
            qb_text_format(text, " [%lld]", (long long)rows[i].initial);
        else if (rows[i].initial_text[0] != '\0')
            qb_text_format(text, " [%s]", rows[i].initial_text);
        qb_text_string(text, "\n");
    }
}

void qb_settings_docs(struct qb_text *text)
{
    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        char name[96];
        if (rows[i].title != NULL) {
            qb_text_format(text,
                           "\n**%s**\n\n| setting | default | from–to | what it does |\n"
                           "|---|---|---|---|\n",
                           rows[i].title);
            continue;
        }
        environment_name(rows[i].name, name, sizeof name);
        qb_text_format(text, "| `%s`", name);
        if (rows[i].platform[0] != '\0') qb_text_format(text, " or `%s`", rows[i].platform);
        if (is_text(&rows[i])) {
            qb_text_format(text, " | %s | text | %s |\n",
                           rows[i].initial_text[0] != '\0' ? rows[i].initial_text : "empty",
                           rows[i].help);
        } else {
            qb_text_format(text, " | %lld | %lld–%lld | %s |\n", (long long)rows[i].initial,
                           (long long)rows[i].least, (long long)rows[i].most, rows[i].help);
        }
    }
}

void qb_settings_log(const struct qb_settings *settings)
{
    struct qb_settings copy = *settings;

    for (size_t i = 0; i < QB_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        if (row->name == NULL) continue;
        if (!is_text(row)) {
            int64_t value = *number_of(&copy, row);
            if (value == row->initial) continue;
            qb_log(QB_LOG_INFO, "setting", QB_TEXT("name", row->name), QB_INT("value", value));
        } else if (strcmp(text_of(&copy, row), row->initial_text) != 0) {
            qb_log(QB_LOG_INFO, "setting", QB_TEXT("name", row->name),
                   QB_TEXT("value", row->kind == SECRET ? "(secret)" : text_of(&copy, row)));
        }
    }
}
