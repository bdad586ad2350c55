/*
 * The command line: what to do, then settings. Everything else is in the files of the commands.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/cases.h"
#include "app/docs.h"
#include "app/explain.h"
#include "app/health.h"
#include "app/migrate_command.h"
#include "app/persist.h"
#include "app/replay.h"
#include "app/seed.h"
#include "app/serve.h"
#include "app/settings.h"
#include "base/log.h"

#define EXIT_USAGE 2

static int version(const struct qb_settings *settings, const char *argument)
{
    (void)settings;
    (void)argument;
    (void)printf("quickbid %s\n", QB_VERSION);
    return 0;
}

static int cases(const struct qb_settings *settings, const char *argument)
{
    (void)settings;
    return qb_cases_run(argument);
}

static int docs(const struct qb_settings *settings, const char *argument)
{
    return qb_docs_print(argument, settings);
}

/* What a command makes of Postgres, Redis and RabbitMQ in the settings. */
enum services { ANY, NEEDED, ALONE };

/* Every command, in the order of --help. */
static const struct command {
    enum services services;
    const char *name;
    const char *argument; /* shown in --help; null: none */
    int (*run)(const struct qb_settings *settings, const char *argument);
    const char *help;
} commands[] = {
    {ANY, "serve", NULL, qb_serve, "Serve auctions until SIGTERM."},
    {ALONE, "seed", "--demo", qb_seed,
     "Fill an empty data folder with demo accounts and auctions."},
    {ALONE, "replay", "AUCTION", qb_replay,
     "Decide an auction again from its ledger and tell its story."},
    {ANY, "cases", "FILE", cases, "Run worked auction cases (quickbid-auction-cases/1)."},
    {ANY, "migrate", NULL, qb_migrate_command,
     "Bring the database up to this version: Postgres, or alone the data folder's."},
    {ANY, "health", NULL, qb_health,
     "Ask the server on this machine whether it lives; for probes."},
    {ANY, "docs", "PART", docs,
     "Print generated docs: settings, metrics, protocol, refusals, closes, routes, openapi, "
     "asyncapi."},
    {NEEDED, "persist", NULL, qb_persist, "Write confirmed entries to Postgres (cluster)."},
    {NEEDED, "recover", "--explain", qb_explain_command,
     "Say where a cluster and its recovery stand, and what to do; changes nothing."},
    {ANY, "version", NULL, version, "Print the version."},
};

static bool check_services(const struct command *command, const struct qb_settings *settings,
                           struct qb_error *error)
{
    bool are_there = qb_settings_have_services(settings);

    if (command->services == NEEDED && !are_there) {
        return qb_error_set(error, "this command belongs to a cluster: set DATABASE_URL, REDIS_URL "
                                   "and RABBITMQ_URL; a server that runs alone needs none of it");
    }
    if (command->services == ALONE && are_there) {
        return qb_error_set(error, "this command works on the embedded database: unset "
                                   "DATABASE_URL, REDIS_URL and RABBITMQ_URL");
    }
    return true;
}

static void usage(FILE *out)
{
    struct qb_text text = {0};

    (void)fprintf(
        out, "quickbid: a real-time bidding server\n\nquickbid COMMAND [--SETTING VALUE]…\n\n");
    for (size_t i = 0; i < QB_COUNT(commands); i++) {
        const char *argument = commands[i].argument != NULL ? commands[i].argument : "";
        (void)fprintf(out, "  %-9s %-9s %s\n", commands[i].name, argument, commands[i].help);
    }
    (void)fprintf(out, "\nSettings, as flags or in the environment (--data-dir is "
                       "QUICKBID_DATA_DIR; PORT is honoured too):\n");
    qb_settings_help(&text);
    (void)fputs(text.bytes, out);
    qb_text_fini(&text);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < QB_COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    }
    return NULL;
}

int main(int argument_count, char **arguments)
{
    struct qb_settings settings;
    struct qb_error error = {""};
    const char *name = argument_count > 1 ? arguments[1] : "";
    const char *argument = NULL;
    int at = 2;

    for (int i = 1; i < argument_count; i++) {
        if (strcmp(arguments[i], "--help") != 0 && strcmp(arguments[i], "-h") != 0) continue;
        usage(stdout);
        return 0;
    }
    const struct command *command = find(name);
    if (command == NULL) {
        usage(stderr);
        (void)fprintf(stderr, "\nquickbid: \"%.40s\" is not a command\n", name);
        return EXIT_USAGE;
    }
    if (command->argument != NULL) {
        if (argument_count <= at) {
            (void)fprintf(stderr, "quickbid %s: needs %s\n", name, command->argument);
            return EXIT_USAGE;
        }
        argument = arguments[at++];
    }
    if (!qb_settings_read(&settings, argument_count - at, &arguments[at], environ, &error)) {
        (void)fprintf(stderr, "quickbid: settings: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (!check_services(command, &settings, &error)) {
        (void)fprintf(stderr, "quickbid %s: %s\n", name, error.text);
        return EXIT_USAGE;
    }
    int level = qb_log_level_parse(settings.log_level);
    qb_log_setup((enum qb_log_level)level, (unsigned)settings.log_lines_per_second);
    return command->run(&settings, argument);
}
